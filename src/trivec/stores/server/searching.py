"""Searches as requests that a server accepts: cut by count and bytes, fused here where it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from trivec.fusion import Rrf, fuse
from trivec.query import StoreQuery
from trivec.stores.server import requests
from trivec.stores.server.batches import Encoding, batches, vector_bytes
from trivec.stores.server.calls import Calls, Operation
from trivec.stores.server.terms import Terms
from trivec.types import PointId, StoredPoint

__all__ = ["search"]

_MAX_SEARCHES = 64
_MAX_BYTES = 8_000_000
"""Of one request's searches: a server works on all of them before it answers."""


def search(
    calls: Calls, terms: Terms, queries: Sequence[StoreQuery], *, encoding: Encoding, local: bool
) -> Operation[list[list[StoredPoint]]]:
    """Run searches; one list of results for each, best first."""
    allowed = [terms.limits.query(query) for query in queries]
    if allowed != list(queries):
        terms.tell_shallower()
    hits: list[list[StoredPoint]] = [[] for _ in queries]
    asked = [(at, query) for at, query in enumerate(allowed) if query.limit]  # it refuses 0
    weighted = [at for at, query in asked if _is_weighted(query)]
    here: list[int] = []
    if weighted and (yield from terms.lacks("weights")) is not None:
        here = weighted
    exact = terms.limits.exact and not local
    most = min(_MAX_SEARCHES, terms.limits.searches or _MAX_SEARCHES)
    direct = [(at, query) for at, query in asked if at not in set(here)]
    for some in batches(
        direct, lambda item: _size(item[1], encoding), max_bytes=_MAX_BYTES, most=most
    ):
        built = [requests.query_request(query, exact=query.exact and exact) for _, query in some]
        responses = yield from calls.query(built)
        for (at, query), response in zip(some, responses, strict=True):
            names = query.with_vectors
            hits[at] = [requests.stored_point(point, names) for point in response.points]
    for at in here:
        hits[at] = yield from _fused_here(calls, allowed[at], most, exact=exact)
    return hits


def _is_weighted(query: StoreQuery) -> bool:
    return isinstance(query.fusion, Rrf) and len(set(query.fusion.weights) | {1.0}) > 1


def _size(query: StoreQuery, encoding: Encoding) -> int:
    vectors = [prefetch.vector for prefetch in query.prefetches]
    if query.rescore is not None:
        vectors.append(query.rescore[1])
    repeated = 1 + sum(prefetch.over_candidates for prefetch in query.prefetches)
    return 1_000 + repeated * sum(vector_bytes(vector, encoding) for vector in vectors)


def _fused_here(
    calls: Calls, query: StoreQuery, most: int, *, exact: bool
) -> Operation[list[StoredPoint]]:
    """Read the lists of a search and fuse them as a newer server would."""
    lists = requests.list_requests(query, exact=query.exact and exact)
    rankings: list[list[tuple[PointId, float]]] = []
    for some in batches(lists, lambda _: 0, most=most):
        for response in (yield from calls.query(some)):
            points = [requests.stored_point(point, ()) for point in response.points]
            rankings.append([(point.id, point.score) for point in points])
    fusion = cast("Rrf", query.fusion)  # it is weighted
    fused = fuse(fusion, rankings)[query.offset : query.offset + query.limit]
    records = (
        (yield from calls.retrieve([key for key, _ in fused], query.with_vectors)) if fused else []
    )
    stored = [requests.stored_point(record, query.with_vectors) for record in records]
    by_id = {point.id: point for point in stored}
    return [replace(by_id[key], score=score) for key, score in fused if key in by_id]
