"""Between trivec's values and qdrant-client's models; pure functions, no input or output.

A synchronous and an asynchronous store share them.
"""

from __future__ import annotations

import json
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
    "evidence_body",
    "list_bodies",
    "operation_bytes",
    "overwrite_operation",
    "point_struct",
    "query_model",
    "search_body",
    "stored_point",
    "vector_selector",
    "vector_struct",
]


def point_struct(point: Point) -> models.PointStruct:
    """Return a point as the client's models have it."""
    from qdrant_client import models

    return models.PointStruct(
        id=point.id, vector=_inputs(point.vectors), payload=dict(point.payload)
    )


def vector_struct(point: Point) -> models.PointVectors:
    """Return the vectors of a point as the client's models have them."""
    from qdrant_client import models

    return models.PointVectors(id=point.id, vector=_inputs(point.vectors))


def overwrite_operation(
    point: PointId, payload: Mapping[str, Any]
) -> models.OverwritePayloadOperation:
    """Return what replaces the payload of a point."""
    from qdrant_client import models

    change = models.SetPayload(payload=dict(payload), points=[point])
    return models.OverwritePayloadOperation(overwrite_payload=change)


def operation_bytes(operation: models.OverwritePayloadOperation) -> int:
    """Return the size of a change of a payload, rather too high than too low."""
    return 100 + len(json.dumps(operation.overwrite_payload.payload, default=str))


def search_body(query: StoreQuery, *, exact: bool, ranked: bool = False) -> dict[str, Any]:
    """Return one search as a request of the Query API; vectors are trivec's own.

    The filter goes into every prefetch, nested ones too, so that no candidate is lost to points
    that the filter removes afterwards.

    Args:
        query: the search.
        exact: ask for exact search; local mode always is, and warns when asked.
        ranked: ask for a list to be fused, ids and scores alone.
    """
    most = query.depth if ranked else query.limit
    plan = plan_query(query, most)
    params = _params(exact=exact)
    prefetch = [_lookup(lookup, query.filter, params) for lookup in plan.sources]
    root = plan.root
    if isinstance(root, Lookup):
        body = _lookup(root, query.filter, params)
        if prefetch:
            body.pop("params", None)
    else:
        body = _given({"query": _fusion(root), "filter": query.filter})
    return body | _given(
        {
            "limit": most,
            "prefetch": prefetch or None,
            "offset": query.offset,
            "with_vector": False if ranked else vector_selector(query.with_vectors),
            "with_payload": not ranked,
        }
    )


def evidence_body(body: Mapping[str, Any], query: StoreQuery) -> dict[str, Any]:
    """Return the search for the best of a list with their vectors, from that for the list."""
    return {
        **body,
        "limit": min(query.evidence, body["limit"]),
        "with_vector": vector_selector(query.with_vectors),
    }


def list_bodies(query: StoreQuery, *, exact: bool) -> list[dict[str, Any]]:
    """Return every list of a fusion as a search of its own, without payloads."""
    params = _params(exact=exact)
    return [
        {**_lookup(lookup, query.filter, params), "with_payload": False}
        for lookup in plan_query(query).sources
    ]


def query_model(body: Mapping[str, Any]) -> models.QueryRequest:
    """Return a search as the client's models have it."""
    from qdrant_client import models

    return models.QueryRequest.model_validate(_with_lists(body))


def _with_lists(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a search whose vectors are lists."""
    listed = dict(body)
    if isinstance(body["query"], Mapping):
        listed["query"] = {"nearest": _input(body["query"]["nearest"])}
    if "prefetch" in body:
        listed["prefetch"] = [_with_lists(part) for part in body["prefetch"]]
    return listed


def _lookup(
    lookup: Lookup, within: models.Filter | None, params: models.SearchParams | None
) -> dict[str, Any]:
    return _given(
        {
            "prefetch": [_lookup(source, within, params) for source in lookup.sources] or None,
            "query": {"nearest": lookup.vector},
            "using": lookup.using or None,
            "filter": within,
            "params": None if lookup.sources else params,
            "score_threshold": lookup.threshold,
            "limit": lookup.limit,
        }
    )


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _params(*, exact: bool) -> models.SearchParams | None:
    if not exact:
        return None
    from qdrant_client import models

    return models.SearchParams(exact=True)


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
