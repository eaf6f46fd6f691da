"""Opening an index: which store, what a new collection holds, whether an old one fits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec._runtime.checks import check_choice, check_least
from trivec.analysis import RULES
from trivec.arms import ARMS, Arm, arm_names, arms_among
from trivec.bm25 import AnalyzerConfig, Bm25Analyzer
from trivec.errors import CollectionError, InputError
from trivec.index.adding import ColbertOverflow
from trivec.payloads.codecs import CODECS, codec_keys
from trivec.payloads.haystack import HaystackCodec
from trivec.payloads.trivec import IDENTITY, TOKENS, Codec, PayloadCodec
from trivec.protocols import Encoder, Store
from trivec.schema import Fingerprint, Schema
from trivec.types import EncoderInfo

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

    from trivec.stores.server.store_async import AsyncServerStore

__all__ = [
    "IndexConfig",
    "async_store",
    "new_schema",
    "place_name",
    "require_fitting",
    "require_tenant",
    "resolve_store",
    "stored_analyzer",
    "wanted_indexes",
    "with_indexes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """What a new collection stores and how; an existing collection keeps what it has.

    Attributes:
        arms: of ``dense``, ``sparse``, ``bm25``, ``colbert``. None: all but ``colbert`` (which
            takes a row for every token) that the encoder has heads for.
        analyzer: the BM25 analyser; None means the defaults, or the collection's own. The newest
            rules stand for the collection's own, too.
        payload_indexes: metadata keys to index types: ``keyword``, ``integer``, ``float``,
            ``bool``, ``datetime``, ``text``, ``uuid``. Filters on indexed keys are fast. An
            existing collection is given those that it lacks.
        index_on_demand: on a server that refuses filters on keys without an index (strict mode,
            as in Qdrant Cloud), the first filter on a key makes the index. False: FilterError.
        codec: the payload layout: ``trivec``, ``langchain``, ``llama_index`` or ``haystack``, or a
            :class:`trivec.payloads.PayloadCodec` with keys of its own. None: trivec's in a new
            collection, in an adopted one whatever its payloads show (an empty one gets trivec's).
        vectors: names of the vectors by arm. In a new collection they are the arms' own where
            this says nothing else; in an adopted one this says which vectors the encoder wrote,
            and without it the one dense vector is taken.
        batch_size: chunks that are encoded together and written together.
        colbert_overflow: what becomes of more ColBERT rows than Qdrant takes (1,023 at 1,024
            dims): ``pool`` averages neighbouring rows, ``refuse`` reports the chunk.
        scoped_ids: whether an id that is no UUID belongs to its source in a new collection, so
            that two sources may both have a "1". False: ids are one for the whole collection, and
            a passage replaces the one of its id in another source. Haystack's are always so.
    """

    arms: tuple[str, ...] | None = None
    analyzer: AnalyzerConfig | None = None
    payload_indexes: Mapping[str, str] = field(default_factory=dict)
    codec: str | PayloadCodec | None = None
    vectors: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 128
    colbert_overflow: ColbertOverflow = "pool"
    scoped_ids: bool = True
    index_on_demand: bool = True

    def __post_init__(self) -> None:
        known = list(arm_names())
        if self.arms is not None and (not self.arms or set(self.arms) - set(known)):
            raise InputError(f"arms={self.arms!r}; choose at least one of {known}")
        if isinstance(self.codec, str) and self.codec not in CODECS:
            raise InputError(f"codec={self.codec!r}; allowed: {sorted(CODECS)}, or a PayloadCodec")
        names = list(self.vectors.values())
        if set(self.vectors) - set(known) or len(set(names)) < len(names):
            raise InputError(
                f"vectors={dict(self.vectors)!r}; allowed: a name of its own for each of {known}"
            )
        check_least("batch_size", self.batch_size, 1)
        check_choice("colbert_overflow", self.colbert_overflow, ColbertOverflow)

    @property
    def layout(self) -> Codec | None:
        """The payload layout that was chosen, if one was."""
        return CODECS[self.codec] if isinstance(self.codec, str) else self.codec


def resolve_store(
    location: str | Path | QdrantClient | Store, collection: str | None, config: IndexConfig
) -> Store:
    """Return the store for a folder, a client, or the store itself."""
    if isinstance(location, (str, Path)):
        text = str(location)
        if text == ":memory:" or "://" in text:
            raise InputError(
                f"location={text!r} is not a folder; pass QdrantClient({text!r}) and a collection"
            )
        if collection is not None:
            raise InputError(f"collection={collection!r} with a folder; a folder is one collection")
        from trivec.stores.edge.store import EdgeStore

        return EdgeStore(location)
    clients = sys.modules.get("qdrant_client")
    if clients is not None and isinstance(location, clients.QdrantClient):
        if not collection:
            raise InputError("a QdrantClient needs collection='...', the collection's name")
        from trivec.stores.server.store import ServerStore

        return ServerStore(location, collection, index_on_demand=config.index_on_demand)
    if clients is not None and isinstance(location, clients.AsyncQdrantClient):
        raise InputError(
            "location is an AsyncQdrantClient, allowed: a folder, a QdrantClient or a Store; "
            "await AsyncHybridIndex.open(...) with this client"
        )
    if collection is not None:
        raise InputError(f"collection={collection!r} goes with a QdrantClient only")
    if not hasattr(location, "upsert"):
        raise InputError(f"location={location!r}; give a folder, a QdrantClient or a Store")
    return location  # type: ignore[return-value]  # a client was ruled out above


def async_store(
    client: AsyncQdrantClient, collection: str, config: IndexConfig
) -> AsyncServerStore:
    """Return the store of a collection that is awaited."""
    from trivec.stores.server.store_async import AsyncServerStore

    return AsyncServerStore(client, collection, index_on_demand=config.index_on_demand)


def place_name(location: object, collection: str | None) -> str:
    """Return what messages call the place of a collection."""
    if isinstance(location, (str, Path)):
        return f"folder {str(location)!r}"
    if collection is not None:
        return f"collection {collection!r}"
    return f"the store {location!r}" if hasattr(location, "upsert") else "the store"


def new_schema(info: EncoderInfo, config: IndexConfig, tenant: str | None) -> Schema:
    """Describe a new collection."""
    arms = _chosen(info, config)
    vectors = {arm.name: arm.spec(config.vectors.get(arm.name, arm.name), info) for arm in arms}
    codec = config.layout or CODECS["trivec"]
    scoped = config.scoped_ids and not isinstance(codec, HaystackCodec)
    indexes = wanted_indexes(codec, config, scoped_ids=scoped)
    analyzer = None
    if any(arm.head is None for arm in arms):
        analyzer = (config.analyzer or AnalyzerConfig()).to_json()
    tenant_key = None if tenant is None else codec.own_path("tenant")
    return Schema(
        vectors,
        Fingerprint(info, analyzer),
        indexes,
        tenant_key,
        codec=codec.name,
        codec_keys=codec_keys(codec),
        scoped_ids=scoped,
    )


def wanted_indexes(codec: Codec, config: IndexConfig, *, scoped_ids: bool) -> dict[str, str]:
    """Return the payload indexes of a collection, path to type: trivec's own and those asked."""
    own = ("source", TOKENS, *((IDENTITY,) if scoped_ids else ()))
    indexes = {codec.own_path(field): "keyword" for field in own}
    for key, kind in config.payload_indexes.items():
        indexes |= dict.fromkeys(codec.metadata_field(key).paths, kind)
    return indexes


def with_indexes(store: Store, schema: Schema, indexes: Mapping[str, str]) -> Schema:
    """Make the payload indexes that a collection lacks; return what it holds then.

    Also where the description lists them: whoever made the collection may have been interrupted,
    or somebody has dropped one.
    """
    if not store.ensure_payload_indexes(indexes):
        return schema
    complete = {**schema.payload_indexes, **indexes}
    if complete == schema.payload_indexes:
        return schema
    schema = replace(schema, payload_indexes=complete)
    store.describe(schema)
    return schema


def _chosen(info: EncoderInfo, config: IndexConfig) -> list[Arm]:
    """Return the arms of a new collection.

    Raises:
        InputError: the model cannot make one that was named.
    """
    able = [arm for arm in ARMS if arm.is_made_by(info)]
    if config.arms is None:
        return [arm for arm in able if arm.default]
    if missing := sorted(set(config.arms) - {arm.name for arm in able}):
        raise InputError(
            f"arms {missing} need heads that the model lacks; it allows "
            f"{[arm.name for arm in able]}"
        )
    return arms_among(config.arms)


def require_fitting(stored: Schema, encoder: Encoder, config: IndexConfig, place: str) -> None:
    """Check an existing collection against encoder and configuration.

    Raises:
        FingerprintMismatchError: another model wrote it, or one that is not known.
        CollectionError: its vectors do not fit the model, an arm is missing, or one is of a later
            trivec.
    """
    info = encoder.info
    stored.require_same_writer(Fingerprint(info, _asked_settings(config, stored)), place)
    if unknown := sorted(set(stored.written) - set(arm_names())):
        raise CollectionError(
            f"{place} stores the arms {unknown}, this trivec knows {list(arm_names())}; "
            "open it with the version that wrote it"
        )
    for arm in arms_among(stored.vectors):
        if not arm.is_made_by(info):
            raise CollectionError(
                f"{place} stores {arm.name} vectors, which the model does not make; "
                "open it with the model that wrote it"
            )
        size, width = stored.vectors[arm.name].size, arm.width(info)
        if size != width:
            raise CollectionError(
                f"{place} stores {arm.name} vectors of {size} dims, the model makes {width}; "
                "open it with the model that wrote it"
            )
    if config.arms is not None and (missing := sorted(set(config.arms) - set(stored.vectors))):
        raise CollectionError(
            f"{place} does not store {missing}, it has {sorted(stored.vectors)}; "
            "open it without them and call add_arm(), or index again into a new place"
        )


def require_tenant(tenant: object) -> None:
    """Refuse what is not a text: anything else could be read as a filter.

    Raises:
        InputError: it is not, or it is blank.
    """
    if tenant is not None and (not isinstance(tenant, str) or not tenant.strip()):
        raise InputError(f"tenant={tenant!r}; allowed: a text that is not blank, or None")


def _asked_settings(config: IndexConfig, stored: Schema) -> dict[str, Any] | None:
    """Return the analyser that was asked for, with the rules of the collection where any will do.

    A program that sets a stop word and no rules goes on with the collections it has.
    """
    asked = config.analyzer
    if asked is None:
        return None
    settings = stored.fingerprint.analyzer if stored.fingerprint else None
    if settings is not None and asked.rules == RULES[-1]:
        return {**asked.to_json(), "rules": settings.get("rules", RULES[0])}
    return asked.to_json()


def stored_analyzer(schema: Schema) -> Bm25Analyzer | None:
    """Return the analyser that a collection was written with; None where it has no BM25."""
    if all(arm.head is not None for arm in arms_among(schema.written)):
        return None
    settings = schema.fingerprint.analyzer if schema.fingerprint else None
    config = AnalyzerConfig.from_json(settings or {"rules": RULES[0]})
    return Bm25Analyzer(config)
