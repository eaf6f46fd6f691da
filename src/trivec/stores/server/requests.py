"""Between trivec's values and qdrant-client's models; pure functions, no input or output.

A synchronous and an asynchronous store share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from trivec.fusion import Dbsf, Fusion, Linear, Rrf
from trivec.query import StoreQuery
from trivec.stores.execution import Lookup, plan_query, score_weights
from trivec.stores.records import point_id_of, vector_of
from trivec.types import Point, PointId, SparseVector, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = [
    "list_requests",
    "overwrite_operations",
    "point_structs",
    "query_request",
    "stored_point",
    "vector_selector",
    "vector_structs",
]


def point_structs(points: Sequence[Point]) -> list[models.PointStruct]:
    """Return points as the client writes them."""
    from qdrant_client import models

    return [
        models.PointStruct(id=point.id, vector=_inputs(point.vectors), payload=dict(point.payload))
        for point in points
    ]


def vector_structs(points: Sequence[Point]) -> list[models.PointVectors]:
    """Return the vectors of points as the client writes them."""
    from qdrant_client import models

    return [models.PointVectors(id=point.id, vector=_inputs(point.vectors)) for point in points]


def overwrite_operations(
    payloads: Sequence[tuple[PointId, Mapping[str, Any]]],
) -> list[models.OverwritePayloadOperation]:
    """Return what replaces the payloads of points, one operation for each."""
    from qdrant_client import models

    return [
        models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(payload=dict(payload), points=[point])
        )
        for point, payload in payloads
    ]


def query_request(query: StoreQuery, *, exact: bool) -> models.QueryRequest:
    """Return one search as a request of the Query API.

    The filter goes into every prefetch, nested ones too, so that no candidate is lost to points
    that the filter removes afterwards.

    Args:
        query: the search.
        exact: ask for exact search; local mode always is, and warns when asked.
    """
    from qdrant_client import models

    plan = plan_query(query)
    params = models.SearchParams(exact=True) if exact else None
    root = plan.root
    nearest = isinstance(root, Lookup)
    return models.QueryRequest(
        prefetch=[_prefetch(lookup, query.filter, params) for lookup in plan.sources] or None,
        query=_nearest(root) if isinstance(root, Lookup) else _fusion(root),
        using=(root.using or None) if isinstance(root, Lookup) else None,
        filter=query.filter,
        params=params if nearest and not plan.sources else None,
        score_threshold=root.threshold if isinstance(root, Lookup) else None,
        limit=query.most,
        offset=query.offset,
        with_vector=vector_selector(query.with_vectors),
        with_payload=not query.candidates,
    )


def list_requests(query: StoreQuery, *, exact: bool) -> list[models.QueryRequest]:
    """Return every list of a fusion as a search of its own, without payloads."""
    from qdrant_client import models

    params = models.SearchParams(exact=True) if exact else None
    return [
        models.QueryRequest(
            prefetch=[_prefetch(source, query.filter, params) for source in lookup.sources] or None,
            query=_nearest(lookup),
            using=lookup.using or None,
            filter=query.filter,
            params=None if lookup.sources else params,
            score_threshold=lookup.threshold,
            limit=lookup.limit,
            with_payload=False,
        )
        for lookup in plan_query(query).sources
    ]


def _prefetch(
    lookup: Lookup, within: models.Filter | None, params: models.SearchParams | None
) -> models.Prefetch:
    from qdrant_client import models

    return models.Prefetch(
        prefetch=[_prefetch(source, within, params) for source in lookup.sources] or None,
        query=_nearest(lookup),
        using=lookup.using or None,
        filter=within,
        params=None if lookup.sources else params,
        score_threshold=lookup.threshold,
        limit=lookup.limit,
    )


def _nearest(lookup: Lookup) -> models.NearestQuery:
    from qdrant_client import models

    return models.NearestQuery(nearest=_input(lookup.vector))


def _fusion(fusion: Fusion) -> models.Query:
    from qdrant_client import models

    match fusion:
        case Rrf(k, weights):
            return models.RrfQuery(rrf=models.Rrf(k=k, weights=list(weights)))
        case Dbsf():
            return models.FusionQuery(fusion=models.Fusion.DBSF)
        case Linear(weights):
            return _weighted_sum(score_weights(weights))
        case _:
            assert_never(fusion)


def _weighted_sum(weights: Mapping[str, float]) -> models.FormulaQuery:
    from qdrant_client import models

    weighted: list[Any] = [
        models.MultExpression(mult=[weight, score]) for score, weight in weights.items()
    ]
    return models.FormulaQuery(
        formula=models.SumExpression(sum=weighted), defaults=dict.fromkeys(weights, 0.0)
    )


def _inputs(vectors: Mapping[str, Vector]) -> dict[str, Any]:
    return {name: _input(vector) for name, vector in vectors.items()}


def _input(vector: Vector) -> Any:
    from qdrant_client import models

    if isinstance(vector, SparseVector):
        return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())
    return vector.tolist()


def vector_selector(names: Sequence[str]) -> bool | list[str]:
    """Return which vectors a request asks for; the unnamed one cannot be asked for by name."""
    return True if "" in names else list(names) or False


def stored_point(
    record: models.Record | models.ScoredPoint, with_vectors: Sequence[str]
) -> StoredPoint:
    """Return a point that the client gave back; UUIDs in their canonical text form."""
    vectors = record.vector if isinstance(record.vector, dict) else {"": record.vector}
    return StoredPoint(
        point_id_of(record.id),
        record.payload or {},
        {
            name: vector_of(vector)
            for name, vector in vectors.items()
            if vector is not None and name in with_vectors
        },
        getattr(record, "score", 0.0),
    )
