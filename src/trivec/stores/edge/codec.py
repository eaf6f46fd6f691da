"""Between trivec's values and the embedded engine's; pure functions, no input or output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from trivec.errors import InputError
from trivec.fusion import Dbsf, Fusion, Linear, Rrf
from trivec.query import Filter, Ranking, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.edge.filters import to_edge
from trivec.stores.execution import Lookup, plan_query, score_weights
from trivec.stores.filters import require_storable_filter
from trivec.stores.records import point_id_of, vector_of
from trivec.types import Point, SparseVector, StoredPoint, Vector

if TYPE_CHECKING:
    import qdrant_edge
    from numpy.typing import NDArray

__all__ = [
    "edge_config",
    "edge_filter",
    "edge_points",
    "edge_request",
    "index_operations",
    "ranking",
    "stored_point",
    "stored_vectors",
    "update_operation",
    "vector_operation",
]


def edge_config(schema: Schema) -> qdrant_edge.EdgeConfig:
    """Return the engine's configuration for a schema's vectors."""
    import qdrant_edge as edge

    specs = schema.written.values()
    return edge.EdgeConfig(
        vectors={spec.name: _vector_params(spec) for spec in specs if spec.kind != "sparse"},
        sparse_vectors={
            spec.name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if spec.idf else None)
            for spec in specs
            if spec.kind == "sparse"
        },
    )


def _vector_params(spec: VectorSpec) -> qdrant_edge.EdgeVectorParams:
    import qdrant_edge as edge

    if spec.size is None:
        raise InputError(f"vector {spec.name!r} has no size; a {spec.kind} vector needs one")
    if spec.kind == "dense":
        return edge.EdgeVectorParams(size=spec.size, distance=edge.Distance.Cosine)
    return edge.EdgeVectorParams(
        size=spec.size,
        distance=edge.Distance.Cosine,
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
        # m=0: no graph, multivectors only rescore
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
    )


def index_operations(schema: Schema) -> list[qdrant_edge.UpdateOperation]:
    """Return what creates the payload indexes.

    Raises:
        InputError: an index type that the engine does not have.
    """
    import qdrant_edge as edge

    types: dict[str, Any] = {
        "keyword": edge.PayloadSchemaType.Keyword,
        "integer": edge.PayloadSchemaType.Integer,
        "float": edge.PayloadSchemaType.Float,
        "bool": edge.PayloadSchemaType.Bool,
        "datetime": edge.PayloadSchemaType.Datetime,
        "text": edge.TextIndexParams(
            tokenizer=edge.TokenizerType.Multilingual, lowercase=True, phrase_matching=True
        ),
        "uuid": edge.PayloadSchemaType.Uuid,
        "geo": edge.PayloadSchemaType.Geo,
    }
    if unknown := set(schema.payload_indexes.values()) - set(types):
        raise InputError(f"payload index types {sorted(unknown)}; allowed: {', '.join(types)}")
    operations = [
        edge.UpdateOperation.create_field_index(path, types[kind])
        for path, kind in schema.payload_indexes.items()
        if path != schema.tenant_key
    ]
    if schema.tenant_key is not None:
        tenants = edge.KeywordIndexParams(is_tenant=True)
        operations.append(edge.UpdateOperation.create_field_index(schema.tenant_key, tenants))
    return operations


def vector_operation(spec: VectorSpec) -> qdrant_edge.UpdateOperation:
    """Return what adds a named vector."""
    import qdrant_edge as edge

    if spec.kind == "sparse":
        modifier = edge.Modifier.Idf if spec.idf else None
        return edge.UpdateOperation.create_sparse_vector(spec.name, modifier)
    params = _vector_params(spec)
    return edge.UpdateOperation.create_dense_vector(
        spec.name, params.size, params.distance, params.multivector_config
    )


def update_operation(points: Sequence[Point], where: Filter | None) -> qdrant_edge.UpdateOperation:
    """Return what sets the vectors of points, of those that match."""
    import qdrant_edge as edge

    vectors = [
        edge.PointVectors(
            point.id, {name: _edge_vector(vector) for name, vector in point.vectors.items()}
        )
        for point in points
    ]
    return edge.UpdateOperation.update_vectors(vectors, edge_filter(where))


def edge_points(points: Sequence[Point]) -> list[qdrant_edge.Point]:
    """Return the engine's points."""
    import qdrant_edge as edge

    return [
        edge.Point(
            point.id,
            {name: _edge_vector(vector) for name, vector in point.vectors.items()},
            dict(point.payload),
        )
        for point in points
    ]


def _edge_vector(vector: Vector) -> Any:
    import qdrant_edge as edge

    # A memoryview of floats crosses the boundary in 0.7 of the time of tolist() and the list,
    # an array in 1.9 of it.
    if isinstance(vector, SparseVector):
        return edge.SparseVector(_view(vector.indices), _view(vector.values))
    return _view(vector.astype(np.float32, copy=False)) if vector.ndim == 1 else vector.tolist()


def _view(array: NDArray[Any]) -> Any:
    return np.ascontiguousarray(array).data


def edge_filter(filter: Filter | None) -> qdrant_edge.Filter | None:
    """Return the engine's filter, None for none."""
    require_storable_filter(filter)
    return None if filter is None else to_edge(filter)


def edge_request(query: StoreQuery, *, ranked: bool = False) -> qdrant_edge.QueryRequest:
    """Return the engine's request; of a list to be fused, ids and scores alone.

    The filter goes into every prefetch, nested ones too, so that no candidate is lost to points
    that the filter removes afterwards.
    """
    import qdrant_edge as edge

    most = query.depth if ranked else query.limit
    plan = plan_query(query, most)
    within = edge_filter(query.filter)
    params = edge.SearchParams(exact=query.exact)
    root = plan.root
    threshold = root.threshold if isinstance(root, Lookup) else None
    return edge.QueryRequest(
        limit=most,
        offset=query.offset,
        query=_nearest(root) if isinstance(root, Lookup) else _fusion(root),
        prefetches=[_prefetch(lookup, within, params) for lookup in plan.sources],
        filter=within,
        score_threshold=threshold,
        params=params,
        with_vector=[] if ranked else list(query.with_vectors),
        with_payload=not ranked,
    )


def _prefetch(
    lookup: Lookup, within: qdrant_edge.Filter | None, params: qdrant_edge.SearchParams
) -> qdrant_edge.Prefetch:
    import qdrant_edge as edge

    return edge.Prefetch(
        limit=lookup.limit,
        query=_nearest(lookup),
        prefetches=[_prefetch(source, within, params) for source in lookup.sources],
        params=params,
        filter=within,
        score_threshold=lookup.threshold,
    )


def _nearest(lookup: Lookup) -> qdrant_edge.Query:
    import qdrant_edge as edge

    return edge.Query.Nearest(_edge_vector(lookup.vector), using=lookup.using)


def _fusion(fusion: Fusion) -> Any:
    import qdrant_edge as edge

    match fusion:
        case Rrf(k, weights):
            return edge.Fusion.Rrf(k=k, weights=list(weights))
        case Dbsf():
            return edge.Fusion.Dbsf()
        case Linear(weights):
            return _weighted_sum(score_weights(weights))
        case _:
            assert_never(fusion)


def _weighted_sum(weights: Mapping[str, float]) -> qdrant_edge.Formula:
    import qdrant_edge as edge

    weighted = [
        edge.Expression.Mult([edge.Expression.Constant(weight), edge.Expression.Variable(score)])
        for score, weight in weights.items()
    ]
    return edge.Formula(edge.Expression.Sum(weighted), dict.fromkeys(weights, 0.0))


def ranking(points: Sequence[qdrant_edge.ScoredPoint]) -> Ranking:
    """Return the ids and scores of a list to be fused: hundreds a search, so no call for each."""
    found = [(point.id, point.score) for point in points]
    return [(key if type(key) is int else str(key), score) for key, score in found]


def stored_vectors(vectors: object, names: Collection[str] | None = None) -> dict[str, Vector]:
    """Return the named vectors that the engine gave back; None names all of them."""
    held = vectors if isinstance(vectors, dict) else {}
    return {
        name: vector_of(vector) for name, vector in held.items() if names is None or name in names
    }


def stored_point(record: qdrant_edge.Record | qdrant_edge.ScoredPoint) -> StoredPoint:
    """Return a point that the engine gave back; UUIDs in their canonical text form."""
    return StoredPoint(
        point_id_of(record.id),
        record.payload or {},
        stored_vectors(record.vector),
        getattr(record, "score", 0.0),
    )
