"""Opening an index: which store, what a new collection holds, whether an old one fits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec._runtime.checks import shown
from trivec.analysis import RULES
from trivec.arms import ARMS, Arm, arm_names, arms_among
from trivec.bm25 import AnalyzerConfig, Bm25Analyzer
from trivec.errors import (
    CollectionError,
    CollectionExistsError,
    CollectionNotFoundError,
    InputError,
)
from trivec.index.adopting import adopted_schema
from trivec.index.collection import Binding
from trivec.index.config import IndexConfig
from trivec.index.mixed_precision import query_encoder
from trivec.payloads.codecs import CODECS, codec_keys, stored_codec
from trivec.payloads.haystack import HaystackCodec
from trivec.payloads.trivec import IDENTITY, TOKENS, Codec
from trivec.protocols import Encoder, Store
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.types import EncoderInfo

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

    from trivec.stores.server.store_async import AsyncServerStore

__all__ = [
    "async_store",
    "open_binding",
    "require_fitting",
    "stored_analyzer",
    "vector_spec",
    "with_indexes",
]


def open_binding(
    location: str | Path | QdrantClient | Store,
    encoder: Encoder,
    *,
    collection: str | None,
    config: IndexConfig,
    create: bool,
    adopt: bool,
    mixed_precision: bool,
    tenant: str | None,
) -> Binding:
    """Return a collection bound to its encoder; see :meth:`trivec.HybridIndex.open`."""
    _require_tenant(tenant)
    place = _place_name(location, collection)
    store = _resolve_store(location, collection, config)
    schema = store.schema
    existed = schema is not None
    if schema is None and create:
        schema = _created(store, _new_schema(encoder.info, config, tenant))
    if schema is None:
        raise CollectionNotFoundError(f"there is no index at {place}")
    adopting = schema.fingerprint is None and adopt
    if adopting:
        schema = adopted_schema(store, encoder.info, config, place)
    if mixed_precision and existed:
        encoder = query_encoder(encoder, schema, place)
    require_fitting(schema, encoder, config, place)
    _require_same_tenancy(schema, tenant, place)
    codec = stored_codec(schema.codec, schema.codec_keys)
    if adopting:
        store.describe(schema)
    store.scroll(limit=1)  # takes the lock, so that a second process fails here
    wanted = _wanted_indexes(codec, config, scoped_ids=schema.scoped_ids)
    schema = with_indexes(store, schema, wanted)
    return Binding(store, schema, encoder, stored_analyzer(schema), codec, tenant)


def _resolve_store(
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
            raise InputError(
                f"collection={shown(collection)} with a folder; a folder is one collection"
            )
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
        raise InputError(f"collection={shown(collection)} goes with a QdrantClient only")
    if not hasattr(location, "upsert"):
        raise InputError(f"location={shown(location)}; give a folder, a QdrantClient or a Store")
    return location  # type: ignore[return-value]  # a client was ruled out above


def async_store(
    client: AsyncQdrantClient, collection: str, config: IndexConfig
) -> AsyncServerStore:
    """Return the store of a collection that is awaited."""
    from trivec.stores.server.store_async import AsyncServerStore

    return AsyncServerStore(client, collection, index_on_demand=config.index_on_demand)


def _place_name(location: object, collection: str | None) -> str:
    """Return what messages call the place of a collection."""
    if isinstance(location, (str, Path)):
        return f"folder {str(location)!r}"
    if collection is not None:
        return f"collection {collection!r}"
    return f"the store {shown(location)}" if hasattr(location, "upsert") else "the store"


def _new_schema(info: EncoderInfo, config: IndexConfig, tenant: str | None) -> Schema:
    """Describe a new collection."""
    arms = _chosen(info, config)
    vectors = {
        arm.name: vector_spec(
            arm, config.vectors.get(arm.name, arm.name), info, config, tenants=tenant is not None
        )
        for arm in arms
    }
    codec = config.layout or CODECS["trivec"]
    scoped = config.scoped_ids and not isinstance(codec, HaystackCodec)
    indexes = _wanted_indexes(codec, config, scoped_ids=scoped)
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


def vector_spec(
    arm: Arm, name: str, info: EncoderInfo, config: IndexConfig, *, tenants: bool
) -> VectorSpec:
    """Return the vector for an arm of a collection with or without tenants.

    An engine's IDF counts all tenants' passages: see ``trivec.index.tenant_words``.
    """
    spec = arm.spec(name, info)
    return replace(spec, idf=spec.idf and (not tenants or config.idf_across_tenants))


def _created(store: Store, schema: Schema) -> Schema:
    """Create a collection; return its schema, or the one that another has made just now.

    Where another deletes it meanwhile, it is made once more.
    """
    try:
        return _made(store, schema)
    except (CollectionExistsError, CollectionNotFoundError):
        return _made(store, schema)


def _made(store: Store, schema: Schema) -> Schema:
    try:
        store.create(schema)
    except CollectionExistsError:
        made = store.schema
        if made is None:
            raise
        return made
    return schema


def _wanted_indexes(codec: Codec, config: IndexConfig, *, scoped_ids: bool) -> dict[str, str]:
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


def _require_tenant(tenant: object) -> None:
    """Refuse what is not a text: anything else could be read as a filter.

    Raises:
        InputError: it is not, or it is blank.
    """
    if tenant is not None and (not isinstance(tenant, str) or not tenant.strip()):
        raise InputError(f"tenant={shown(tenant)}; allowed: a text that is not blank, or None")


def _require_same_tenancy(schema: Schema, tenant: str | None, place: str) -> None:
    """Refuse a tenant where the collection has none, and none where it has.

    Raises:
        CollectionError: the two differ.
    """
    if tenant is not None and schema.tenant_key is None:
        raise CollectionError(
            f"{place} was created without tenants; "
            "create a new one with tenant=..., or open it without"
        )
    if tenant is None and schema.tenant_key is not None:
        raise CollectionError(f"{place} keeps tenants apart; open it with tenant=...")


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
