"""What each list added to a score that the engine made, worked out from the same lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, TypeAlias

from trivec.arms import COLBERT
from trivec.fusion import Dbsf, FusionName, Linear, Rrf, distribution_based_fusion
from trivec.index.adaptive import AdaptiveSearch, FusedList
from trivec.index.planning import SearchPlan
from trivec.index.steps import Steps, read
from trivec.query import Prefetch, Ranking, StoreQuery
from trivec.types import PointId, ScorePart

__all__ = ["engine_parts_steps"]

NEAR = 1e-5
"""What added parts may differ by from the engine's score, which is a float of 32 bits."""

TRIED = 20_000
"""Ways in which equal scores may stand that are tried for one hit."""

Parts: TypeAlias = tuple[ScorePart, ...]
Rank: TypeAlias = int | None


def engine_parts_steps(
    plan: SearchPlan, fusion: FusionName, scores: Mapping[PointId, float]
) -> Steps[list[Parts]]:
    """Return what every list added to the score of each hit; nothing where that cannot be known.

    It cannot where equal scores of a list leave the order open that the engine took, and no order
    adds up to the score.

    Args:
        plan: what the engine was asked.
        fusion: the name of the fusion.
        scores: of the hits, by their points.
    """
    query, lists = plan.query, plan.lists
    if query.rescore is not None:
        text = lists[0].text
        return [(ScorePart(COLBERT.name, text, 1.0, one, fusion=None),) for one in scores.values()]
    if query.fusion is None:
        arm, text = lists[0].arm, lists[0].text
        return [(ScorePart(arm, text, 1.0, one, fusion=None),) for one in scores.values()]
    if isinstance(query.fusion, Linear):
        return (yield from _linear(plan, fusion, query.fusion.weights, scores))
    search = AdaptiveSearch(lists, query.limit, query.offset, query.filter)
    requests = [search.candidates(source) for source in lists]
    answers = yield from read(lambda store: store.rank(requests))
    rankings = [
        source.accepted(answer.ranking) for source, answer in zip(lists, answers, strict=True)
    ]
    match query.fusion:
        case Rrf():
            return [
                _by_rank(key, score, lists, rankings, query.fusion) for key, score in scores.items()
            ]
        case Dbsf():
            shares = [dict(distribution_based_fusion([one])) for one in rankings]
            added = [[share.get(key, 0.0) for share in shares] for key in scores]
    ranks = [[_rank(key, one) for one in rankings] for key in scores]
    return [_parts(lists, fusion, each, places) for each, places in zip(added, ranks, strict=True)]


def _linear(
    plan: SearchPlan,
    fusion: FusionName,
    weights: Sequence[float],
    scores: Mapping[PointId, float],
) -> Steps[list[Parts]]:
    """Return each list's exact score times its weight."""
    from qdrant_client import models

    only = models.Filter(must=[models.HasIdCondition(has_id=list(scores))])
    scope = only if plan.query.filter is None else models.Filter(must=[plan.query.filter, only])
    requests = [
        StoreQuery(
            (Prefetch(each.prefetch.using, each.prefetch.vector, len(scores)),),
            len(scores),
            filter=scope,
            exact=True,
        )
        for each in plan.lists
    ]
    answers = yield from read(lambda store: store.query(requests))
    exact = [{point.id: point.score for point in points} for points in answers]
    return [
        _parts(
            plan.lists,
            fusion,
            [weight * one.get(key, 0.0) for weight, one in zip(weights, exact, strict=True)],
            [None] * len(plan.lists),
        )
        for key in scores
    ]


def _by_rank(
    key: PointId,
    score: float,
    lists: Sequence[FusedList],
    rankings: Sequence[Ranking],
    value: Rrf,
) -> Parts:
    """Return what the ranks of a point add; of equal scores, the ranks that add up to its own."""
    for ranks in islice(product(*(list(_places(key, one)) for one in rankings)), TRIED):
        added = [
            0.0 if rank is None or weight <= 0 else 1.0 / (value.k - 1 + rank / weight)
            for rank, weight in zip(ranks, value.weights, strict=True)
        ]
        if abs(sum(added) - score) <= NEAR:
            return _parts(lists, "rrf", added, ranks)
    return ()


def _places(key: PointId, ranking: Ranking) -> Iterator[Rank]:
    """Yield the ranks from 1 that a point may have in a list, the one that was seen first."""
    seen = _rank(key, ranking)
    yield seen
    if seen is None:
        return
    own = ranking[seen - 1][1]
    for rank, (_, score) in enumerate(ranking, start=1):
        if rank != seen and abs(score - own) <= NEAR:
            yield rank
    if abs(ranking[-1][1] - own) <= NEAR:
        yield None  # the engine may have taken others of that score


def _rank(key: PointId, ranking: Ranking) -> Rank:
    return next((rank for rank, (other, _) in enumerate(ranking, start=1) if other == key), None)


def _parts(
    lists: Sequence[FusedList],
    fusion: FusionName,
    added: Sequence[float],
    ranks: Sequence[Rank],
) -> Parts:
    rows: Any = zip(lists, added, ranks, strict=True)
    return tuple(
        ScorePart(each.arm, each.text, each.weight, one, rank=rank, fusion=fusion)
        for each, one, rank in rows
    )
