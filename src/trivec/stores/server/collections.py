"""Between a :class:`Schema` and a collection of a Qdrant server; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trivec._runtime.checks import shown
from trivec.arms import ARMS
from trivec.errors import CollectionError, InputError
from trivec.schema import Schema, VectorKind, VectorSpec

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = [
    "METADATA_KEY",
    "collection_schema",
    "described",
    "missing_indexes",
    "name_config",
    "payload_index_types",
    "require_collection_name",
    "require_same",
    "sparse_config",
    "vector_specs",
    "vectors_config",
    "without_graph",
]

METADATA_KEY = "trivec"
_NAME = re.compile(r"\w[\w.-]{0,254}")
_INDEX_TYPES = ("keyword", "integer", "float", "bool", "datetime", "text", "uuid", "geo")


def require_collection_name(name: str) -> str:
    """Return the name; it becomes part of an address, or of a path on disk.

    Raises:
        InputError: the name could be read as more than a name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"the collection is called {shown(name)}, allowed: up to 255 letters, digits, '_', '-' "
            "and '.', beginning with a letter, a digit or '_'"
        )
    return name


def vectors_config(schema: Schema) -> dict[str, models.VectorParams]:
    """Return the dense vectors and multivectors of a new collection."""
    from qdrant_client import models

    configs = {}
    for spec in schema.vectors.values():
        if spec.kind == "sparse":
            continue
        if spec.size is None:
            raise InputError(f"vector {spec.name!r} has no size; a {spec.kind} vector needs one")
        configs[spec.name] = models.VectorParams(size=spec.size, distance=models.Distance.COSINE)
        if spec.kind == "multivector":
            changes = without_graph()
            configs[spec.name].multivector_config = _max_sim()
            configs[spec.name].hnsw_config = changes.hnsw_config
            configs[spec.name].on_disk = changes.on_disk
    return configs


def without_graph() -> models.VectorParamsDiff:
    """Return how multivectors are kept: no graph, they only rescore; on disk, they are large."""
    from qdrant_client import models

    return models.VectorParamsDiff(hnsw_config=models.HnswConfigDiff(m=0), on_disk=True)


def _max_sim() -> models.MultiVectorConfig:
    from qdrant_client import models

    return models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)


def name_config(spec: VectorSpec) -> models.VectorNameConfig:
    """Return a vector that is added to a collection."""
    from qdrant_client import models

    if spec.kind == "sparse":
        modifier = models.Modifier.IDF if spec.idf else None
        return models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=modifier))
    if spec.size is None:
        raise InputError(f"vector {spec.name!r} has no size; a {spec.kind} vector needs one")
    return models.DenseVectorNameConfig(
        dense=models.DenseVectorConfig(
            size=spec.size,
            distance=models.Distance.COSINE,
            multivector_config=_max_sim() if spec.kind == "multivector" else None,
        )
    )


def sparse_config(schema: Schema) -> dict[str, models.SparseVectorParams]:
    """Return the sparse vectors of a new collection."""
    from qdrant_client import models

    return {
        spec.name: models.SparseVectorParams(modifier=models.Modifier.IDF if spec.idf else None)
        for spec in schema.vectors.values()
        if spec.kind == "sparse"
    }


def payload_index_types(schema: Schema) -> dict[str, Any]:
    """Return the payload indexes of a new collection: path to index type.

    Raises:
        InputError: an index type that Qdrant does not have.
    """
    from qdrant_client import models

    if unknown := set(schema.payload_indexes.values()) - set(_INDEX_TYPES):
        raise InputError(
            f"payload index types {sorted(unknown)}; allowed: {', '.join(_INDEX_TYPES)}"
        )
    text = models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.MULTILINGUAL,
        lowercase=True,
        phrase_matching=True,
    )
    types: dict[str, Any] = {
        path: text if kind == "text" else models.PayloadSchemaType(kind)
        for path, kind in schema.payload_indexes.items()
    }
    if schema.tenant_key is not None:
        types[schema.tenant_key] = models.KeywordIndexParams(
            type=models.KeywordIndexType.KEYWORD, is_tenant=True
        )
    return types


def missing_indexes(
    types: Mapping[str, Any], there: Mapping[str, models.PayloadIndexInfo] | None
) -> dict[str, Any]:
    """Return the payload indexes that a collection does not have, or has of another type."""
    present = {path: str(info.data_type.value) for path, info in (there or {}).items()}
    return {path: kind for path, kind in types.items() if present.get(path) != _kind_name(kind)}


def _kind_name(kind: Any) -> str:
    return str(getattr(kind, "value", None) or kind.type.value)


def require_same(known: Schema, now: Schema, collection: str) -> None:
    """Check that a collection is still the one that was opened.

    Raises:
        FingerprintMismatchError: it was deleted and created again by another model.
        CollectionError: the same, with another payload layout or other tenants.
    """
    if known.fingerprint is None:
        return
    place = f"collection {collection!r}, created again since it was opened,"
    now.require_same_writer(known.fingerprint, place)
    layout = (known.codec, known.codec_keys, known.tenant_key)
    if layout != (now.codec, now.codec_keys, now.tenant_key):
        raise CollectionError(
            f"collection {collection!r} was deleted and created again with another payload layout "
            "or other tenants since it was opened; open it again"
        )


def collection_schema(config: models.CollectionConfig) -> Schema:
    """Return what a collection holds: as trivec noted it, or read off a foreign one.

    Raises:
        CollectionError: trivec's note is damaged or of an unknown version.
    """
    note = (config.metadata or {}).get(METADATA_KEY)
    if note is not None:
        return Schema.from_json(note)
    return Schema(_discovered(vector_specs(config.params).values()))


def described(info: models.CollectionInfo) -> Schema:
    """Return what a collection holds, the payload indexes that the note does not know included.

    Workers that index at once write over each other's notes, and others make indexes too.
    """
    schema = collection_schema(info.config)
    there = {path: str(one.data_type.value) for path, one in (info.payload_schema or {}).items()}
    known = {path: kind for path, kind in there.items() if kind in _INDEX_TYPES}
    return replace(schema, payload_indexes={**known, **schema.payload_indexes})


def vector_specs(params: models.CollectionParams) -> dict[str, VectorSpec]:
    """Return every vector of a collection by name."""
    dense = params.vectors or {}
    named = dense if isinstance(dense, Mapping) else {"": dense}
    specs = {}
    for name, vector in named.items():
        kind: VectorKind = "multivector" if vector.multivector_config else "dense"
        distance = vector.distance.value.lower()
        datatype = "float32" if vector.datatype is None else vector.datatype.value
        specs[name] = VectorSpec(name, kind, vector.size, distance=distance, datatype=datatype)
    for name, sparse in (params.sparse_vectors or {}).items():
        specs[name] = VectorSpec(name, "sparse", idf=sparse.modifier == "idf")
    return specs


def _discovered(specs: Iterable[VectorSpec]) -> dict[str, VectorSpec]:
    """Return a foreign collection's vectors by arm; of several for one arm, ours by name."""
    several = list(specs)
    by_arm: dict[str, VectorSpec] = {}
    for arm in ARMS:
        fitting = [spec for spec in several if (spec.kind, spec.idf) == (arm.kind, arm.idf)]
        chosen = [spec for spec in fitting if spec.name == arm.name] or fitting
        if len(chosen) == 1 and chosen[0] not in by_arm.values():
            by_arm[arm.name] = chosen[0]
    return by_arm
