"""How a :class:`StoreQuery` is carried out, independent of the engine that does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from trivec._runtime.checks import check_least
from trivec.errors import InputError
from trivec.fusion import Fusion, method_of
from trivec.query import Prefetch, StoreQuery
from trivec.types import Vector

__all__ = ["Lookup", "Plan", "Root", "plan_query", "require_page", "score_weights"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A nearest-neighbour search of one vector.

    Attributes:
        using: the vector's name.
        vector: what to look for.
        limit: how many.
        threshold: scores must be greater than this, as the engines compare.
        sources: score only the union of what these find; empty: the whole collection.
    """

    using: str
    vector: Vector
    limit: int
    threshold: float | None = None
    sources: tuple[Lookup, ...] = ()


Root: TypeAlias = Lookup | Fusion


@dataclass(frozen=True, slots=True)
class Plan:
    """One search: ``sources`` find candidates, ``root`` orders them.

    Attributes:
        root: a lookup (over the collection when there are no sources), or how lists are fused.
        sources: the lists, in the order of the fusion's weights.
    """

    root: Root
    sources: tuple[Lookup, ...] = ()


def plan_query(query: StoreQuery, most: int | None = None) -> Plan:
    """Arrange the lookups of a query; ``most`` is how many points are returned, not its limit.

    - One prefetch is a plain search.
    - ``rescore`` orders the union of the prefetches' candidates by one more lookup.
    - Reciprocal rank and distribution-based fusion take the lists as they are; a prefetch
      ``over_candidates`` is a lookup over the union of the plain ones.
    - A linear sum needs the exact score of every arm for every candidate, so each arm is looked up
      over that union. What it does not find there (the point has no such vector, or a sparse one
      without a shared index) counts 0; a negative dense score counts as it is.

    Raises:
        InputError: no plain prefetch, a limit below 1, several prefetches without a way to
            combine them, or weights that do not match the prefetches.
    """
    plain = tuple(
        _lookup(prefetch) for prefetch in query.prefetches if not prefetch.over_candidates
    )
    _require_usable(query, plain)
    limit = query.limit if most is None else most
    if query.rescore is not None:
        using, vector = query.rescore
        return Plan(Lookup(using, vector, limit), plain)
    if query.fusion is None:
        first = plain[0]
        return Plan(Lookup(first.using, first.vector, limit, first.threshold, first.sources))
    if method_of(query.fusion).adds_scores:
        everything = sum(lookup.limit for lookup in plain)
        lists = tuple(_over(prefetch, plain, everything) for prefetch in query.prefetches)
    else:
        lists = tuple(
            _over(prefetch, plain, prefetch.limit)
            if prefetch.over_candidates
            else _lookup(prefetch)
            for prefetch in query.prefetches
        )
    return Plan(query.fusion, lists)


def score_weights(weights: Sequence[float]) -> dict[str, float]:
    """Return the weights of a sum by what both engines' formulas call the score of each list."""
    return {f"$score[{position}]": weight for position, weight in enumerate(weights)}


def require_page(limit: int, offset: int = 0) -> None:
    """Check a page's bounds.

    Raises:
        InputError: a negative limit or offset, or one beyond what the engines count.
    """
    check_least("limit", limit, 0)
    check_least("offset", offset, 0)


def _lookup(prefetch: Prefetch) -> Lookup:
    return Lookup(prefetch.using, prefetch.vector, prefetch.limit, _exclusive(prefetch.threshold))


def _over(prefetch: Prefetch, sources: tuple[Lookup, ...], limit: int) -> Lookup:
    # a plain arm's threshold chose its candidates already; here their exact score is wanted
    threshold = prefetch.threshold if prefetch.over_candidates else None
    return Lookup(prefetch.using, prefetch.vector, limit, _exclusive(threshold), sources)


def _exclusive(threshold: float | None) -> float | None:
    """Turn "at least" into the engines' "greater than"."""
    if threshold is None:
        return None
    with np.errstate(over="ignore"):  # no score reaches what float32 does not hold
        return float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))


def _require_usable(query: StoreQuery, plain: tuple[Lookup, ...]) -> None:
    require_page(query.limit, query.offset)
    if not plain:
        raise InputError("a query needs at least one prefetch that searches the collection")
    if shallow := [arm.using for arm in query.prefetches if arm.limit < 1]:
        raise InputError(f"prefetches {shallow} have a limit below 1; ask for at least 1")
    if query.rescore is not None:
        if query.fusion is not None:
            raise InputError("rescore replaces the order, so fusion must be None with it")
        if len(plain) < len(query.prefetches):
            raise InputError("with rescore, no prefetch can be over_candidates")
    elif query.fusion is None:
        if len(query.prefetches) > 1:
            raise InputError(f"{len(query.prefetches)} prefetches; give fusion or rescore")
    elif (weights := query.fusion.weights) is not None and len(weights) != len(query.prefetches):
        raise InputError(f"{len(weights)} weights for {len(query.prefetches)} prefetches")
