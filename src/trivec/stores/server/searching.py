"""Searches as requests that a server accepts: cut by count and bytes, fused here where it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from trivec._runtime.typed import unchecked
from trivec.errors import StoreError
from trivec.fusion import Rrf, fuse
from trivec.query import RankedList, Ranking, StoreQuery
from trivec.stores.server import requests
from trivec.stores.server.batches import batches
from trivec.stores.server.calls import Calls, Operation
from trivec.stores.server.terms import Terms
from trivec.stores.server.wire import Wire, is_oversized
from trivec.types import StoredPoint

__all__ = ["rank", "search"]

_MAX_SEARCHES = 64
_MAX_BYTES = 8_000_000
"""Of one request's searches: a server works on all of them before it answers."""


def search(
    calls: Calls, terms: Terms, wire: Wire, queries: Sequence[StoreQuery], *, local: bool
) -> Operation[list[list[StoredPoint]]]:
    """Run searches; one list of results for each, best first."""
    allowed = _allowed(terms, queries)
    hits: list[list[StoredPoint]] = [[] for _ in queries]
    asked = [(at, query) for at, query in enumerate(allowed) if query.limit]  # it refuses 0
    here: list[int] = []
    for at, query in asked:
        needed = _needed(query)
        if needed and (yield from terms.lacks(needed)) is not None:
            here.append(at)
    exact = terms.limits.exact and not local
    direct = [(at, query) for at, query in asked if at not in set(here)]
    searches = [
        (requests.search_body(query, exact=query.exact and exact), query.with_vectors)
        for _, query in direct
    ]
    answers = yield from _answers(calls, terms, wire, searches)
    for (at, _), points in zip(direct, answers, strict=True):
        hits[at] = points
    for at in here:
        hits[at] = yield from _fused_here(calls, terms, wire, allowed[at], exact=exact)
    return hits


def rank(
    calls: Calls, terms: Terms, wire: Wire, queries: Sequence[StoreQuery], *, local: bool
) -> Operation[list[RankedList]]:
    """Return the lists of searches; the best of one with their vectors are a search of their own.

    So all is asked for at once, and no vector is sent that nobody looks at.
    """
    allowed = _allowed(terms, queries)
    exact = terms.limits.exact and not local
    bodies = [
        requests.search_body(query, exact=query.exact and exact, ranked=True) for query in allowed
    ]
    best = [
        (requests.evidence_body(body, query), query.with_vectors)
        for body, query in zip(bodies, allowed, strict=True)
        if query.evidence
    ]
    lists = [(body, None) for body in bodies]
    answers = yield from _answers(calls, terms, wire, [*lists, *best])
    evidence = iter(answers[len(bodies) :])
    return [
        RankedList(ranking, next(evidence) if query.evidence else [])
        for query, ranking in zip(allowed, answers, strict=False)  # the rest is evidence
    ]


def _allowed(terms: Terms, queries: Sequence[StoreQuery]) -> list[StoreQuery]:
    """Return searches that are as deep as strict mode allows."""
    allowed = [terms.limits.query(query) for query in queries]
    pairs = zip(allowed, queries, strict=True)
    if any(one.prefetches is not other.prefetches for one, other in pairs):
        terms.tell_shallower()
    return allowed


def _answers(
    calls: Calls,
    terms: Terms,
    wire: Wire,
    searches: Sequence[tuple[Mapping[str, Any], Sequence[str] | None]],
) -> Operation[list[Any]]:
    """Send searches, each with the vectors that are read of its points; None: a ranking."""
    most = min(_MAX_SEARCHES, terms.limits.searches or _MAX_SEARCHES)
    written = [(wire.search(body), names) for body, names in searches]
    found: list[Any] = []
    for some in batches(written, lambda item: wire.size(item[0]), max_bytes=_MAX_BYTES, most=most):
        found += yield from _halved(calls, [each for each, _ in some], [names for _, names in some])
    return found


def _halved(
    calls: Calls, searches: Sequence[Any], names: Sequence[Sequence[str] | None]
) -> Operation[list[Any]]:
    """Send searches; where the answer would be too large, one half after the other."""
    try:
        return (yield from calls.query(searches, names))
    except StoreError as err:
        if len(searches) == 1 or not is_oversized(err.__cause__):
            raise
    half = len(searches) // 2
    first = yield from _halved(calls, searches[:half], names[:half])
    return first + (yield from _halved(calls, searches[half:], names[half:]))


def _needed(query: StoreQuery) -> str | None:
    """Return what a server must know to fuse the lists of a search as it is asked to."""
    if not isinstance(query.fusion, Rrf):
        return None
    return "rrf" if set(query.fusion.weights) <= {1.0} else "weights"


def _fused_here(
    calls: Calls, terms: Terms, wire: Wire, query: StoreQuery, *, exact: bool
) -> Operation[list[StoredPoint]]:
    """Read the lists of a search and fuse them as a newer server would."""
    bodies = requests.list_bodies(query, exact=query.exact and exact)
    rankings: list[Ranking] = yield from _answers(
        calls, terms, wire, [(body, None) for body in bodies]
    )
    fusion = cast("Rrf", query.fusion)  # it is weighted
    fused = unchecked(fuse)(fusion, rankings)[query.offset : query.offset + query.limit]
    ids = [key for key, _ in fused]
    stored = (yield from calls.retrieve(ids, query.with_vectors)) if fused else []
    by_id = {point.id: point for point in stored}
    return [replace(by_id[key], score=score) for key, score in fused if key in by_id]
