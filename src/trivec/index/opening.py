"""Opening an index: which store, what a new collection holds, whether an old one fits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._runtime.checks import check_choice, check_least
from trivec.arms import ARMS, Arm, arm_names, arms_among
from trivec.bm25 import AnalyzerConfig, Bm25Analyzer
from trivec.errors import CollectionError, InputError
from trivec.index.adding import ColbertOverflow
from trivec.payloads.codecs import CODECS, codec_keys
from trivec.payloads.trivec import TOKENS, Codec, PayloadCodec
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
]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """What a new collection stores and how; an existing collection keeps what it has.

    Attributes:
        arms: of ``dense``, ``sparse``, ``bm25``, ``colbert``. None: all but ``colbert`` (which
            takes a row for every token) that the encoder has heads for.
        analyzer: the BM25 analyser; None means the defaults, or the collection's own.
        payload_indexes: metadata keys to index types: ``keyword``, ``integer``, ``float``,
            ``bool``, ``datetime``, ``text``, ``uuid``. Filters on indexed keys are fast.
        codec: the payload layout: ``trivec``, ``langchain``, ``llama_index`` or ``haystack``, or a
            :class:`trivec.payloads.PayloadCodec` with keys of its own. None: trivec's in a new
            collection, in an adopted one whatever its payloads show (an empty one gets trivec's).
        vectors: names of the vectors by arm. In a new collection they are the arms' own where
            this says nothing else; in an adopted one this says which vectors the encoder wrote,
            and without it the one dense vector is taken.
        batch_size: chunks that are encoded together and written together.
        colbert_overflow: what becomes of more ColBERT rows than Qdrant takes (1,023 at 1,024
            dims): ``pool`` averages neighbouring rows, ``refuse`` reports the chunk.
    """

    arms: tuple[str, ...] | None = None
    analyzer: AnalyzerConfig | None = None
    payload_indexes: Mapping[str, str] = field(default_factory=dict)
    codec: str | PayloadCodec | None = None
    vectors: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 128
    colbert_overflow: ColbertOverflow = "pool"

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


def resolve_store(location: str | Path | QdrantClient | Store, collection: str | None) -> Store:
    """Return the store for a folder, a client, or the store itself."""
    if isinstance(location, (str, Path)):
        text = str(location)
        if text == ":memory:" or "://" in text:
            raise InputError(
                f"location={text!r} is no folder; pass QdrantClient({text!r}) and a collection"
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

        return ServerStore(location, collection)
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


def async_store(client: AsyncQdrantClient, collection: str) -> AsyncServerStore:
    """Return the store of a collection that is awaited."""
    from trivec.stores.server.store_async import AsyncServerStore

    return AsyncServerStore(client, collection)


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
    indexes = {codec.own_path("source"): "keyword", codec.own_path(TOKENS): "keyword"}
    for key, kind in config.payload_indexes.items():
        indexes |= dict.fromkeys(codec.metadata_field(key).paths, kind)
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
    )


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
    analyzer = None if config.analyzer is None else config.analyzer.to_json()
    stored.require_same_writer(Fingerprint(info, analyzer), place)
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


def stored_analyzer(schema: Schema) -> Bm25Analyzer | None:
    """Return the analyser that a collection was written with; None where it has no BM25."""
    if all(arm.head is not None for arm in arms_among(schema.written)):
        return None
    settings = schema.fingerprint.analyzer if schema.fingerprint else None
    config = AnalyzerConfig() if settings is None else AnalyzerConfig.from_json(settings)
    return Bm25Analyzer(config)
