"""Searches as requests that a server accepts: cut by count and bytes, fused here where it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from trivec._runtime.typed import unchecked
from trivec.errors import StoreError
from trivec.fusion import Rrf, fuse
from trivec.query import StoreQuery
from trivec.stores.server import requests
from trivec.stores.server.batches import batches
from trivec.stores.server.calls import Calls, Operation
from trivec.stores.server.terms import Terms
from trivec.stores.server.wire import Wire, is_oversized
from trivec.types import PointId, StoredPoint

__all__ = ["search"]

_MAX_SEARCHES = 64
_MAX_BYTES = 8_000_000
"""Of one request's searches: a server works on all of them before it answers."""


def search(
    calls: Calls, terms: Terms, wire: Wire, queries: Sequence[StoreQuery], *, local: bool
) -> Operation[list[list[StoredPoint]]]:
    """Run searches; one list of results for each, best first."""
    allowed = [terms.limits.query(query) for query in queries]
    if allowed != list(queries):
        terms.tell_shallower()
    hits: list[list[StoredPoint]] = [[] for _ in queries]
    asked = [(at, query) for at, query in enumerate(allowed) if query.limit]  # it refuses 0
    here: list[int] = []
    for at, query in asked:
        needed = _needed(query)
        if needed and (yield from terms.lacks(needed)) is not None:
            here.append(at)
    exact = terms.limits.exact and not local
    most = min(_MAX_SEARCHES, terms.limits.searches or _MAX_SEARCHES)
    direct = [
        (at, wire.search(requests.search_body(query, exact=query.exact and exact)))
        for at, query in asked
        if at not in set(here)
    ]
    for some in batches(direct, lambda item: wire.size(item[1]), max_bytes=_MAX_BYTES, most=most):
        names = [allowed[at].with_vectors for at, _ in some]
        answers = yield from _answers(calls, [written for _, written in some], names)
        for (at, _), points in zip(some, answers, strict=True):
            hits[at] = points
    for at in here:
        hits[at] = yield from _fused_here(calls, wire, allowed[at], most, exact=exact)
    return hits


def _answers(
    calls: Calls, searches: Sequence[Any], names: Sequence[Sequence[str]]
) -> Operation[list[list[StoredPoint]]]:
    """Send searches; where the answer would be too large, one half after the other."""
    try:
        return (yield from calls.query(searches, names))
    except StoreError as err:
        if len(searches) == 1 or not is_oversized(err.__cause__):
            raise
    half = len(searches) // 2
    first = yield from _answers(calls, searches[:half], names[:half])
    return first + (yield from _answers(calls, searches[half:], names[half:]))


def _needed(query: StoreQuery) -> str | None:
    """Return what a server must know to fuse the lists of a search as it is asked to."""
    if not isinstance(query.fusion, Rrf):
        return None
    return "rrf" if set(query.fusion.weights) <= {1.0} else "weights"


def _fused_here(
    calls: Calls, wire: Wire, query: StoreQuery, most: int, *, exact: bool
) -> Operation[list[StoredPoint]]:
    """Read the lists of a search and fuse them as a newer server would."""
    bodies = requests.list_bodies(query, exact=query.exact and exact)
    rankings: list[list[tuple[PointId, float]]] = []
    for some in batches([wire.search(body) for body in bodies], wire.size, most=most):
        answers = yield from calls.query(some, [()] * len(some))
        rankings += [[(point.id, point.score) for point in points] for points in answers]
    fusion = cast("Rrf", query.fusion)  # it is weighted
    fused = unchecked(fuse)(fusion, rankings)[query.offset : query.offset + query.limit]
    records = (
        (yield from calls.retrieve([key for key, _ in fused], query.with_vectors)) if fused else []
    )
    stored = [requests.stored_point(record, query.with_vectors) for record in records]
    by_id = {point.id: point for point in stored}
    return [replace(by_id[key], score=score) for key, score in fused if key in by_id]
