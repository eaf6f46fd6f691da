"""Rank fusion and diversification as pure functions over lists of ``(id, score)``.

The engines fuse inside one request; these are the same formulas for stores without an engine, for
lists that come from several collections, and for tests to check the engines against.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from trivec.errors import InputError
from trivec.types import FloatArray

__all__ = [
    "distribution_based_fusion",
    "maximal_marginal_relevance",
    "reciprocal_rank_fusion",
    "weighted_sum_fusion",
]

Id = TypeVar("Id", bound=Hashable)


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[tuple[Id, float]]],
    *,
    k: int = 61,
    weights: Sequence[float] | None = None,
) -> list[tuple[Id, float]]:
    """Fuse by rank: ``sum 1 / (k - 1 + (rank + 1) / weight)``, rank from 0, as Qdrant counts.

    With weight 1 this is ``1 / (k + rank)``; the ``k = 60`` of Cormack, Clarke and Buettcher
    (SIGIR 2009), who count ranks from 1, is ``k = 61`` here. A weight of 0 or less adds nothing.

    Args:
        rankings: lists of ``(id, score)``, best first; only the order is used.
        k: the ranking constant.
        weights: one for each ranking, 1 by default.

    Returns:
        ``(id, fused score)``, best first; ties keep the order of first appearance.

    Raises:
        InputError: there are not as many weights as rankings.
    """
    fused: defaultdict[Id, float] = defaultdict(float)
    for ranking, weight in zip(rankings, _weights(weights, len(rankings)), strict=True):
        for rank, (identity, _) in enumerate(ranking):
            fused[identity] += 1.0 / (k - 1 + (rank + 1) / weight) if weight > 0 else 0.0
    return _best_first(fused.items())


def distribution_based_fusion(
    rankings: Sequence[Sequence[tuple[Id, float]]],
) -> list[tuple[Id, float]]:
    """Fuse by score, each list scaled to ``(score - mean + 3 sigma) / (6 sigma)``.

    Sigma is the sample standard deviation over the list; a list of one, or of equal scores, counts
    0.5 for each. Source: Qdrant, ``Fusion.DBSF``.

    Args:
        rankings: lists of ``(id, score)``.

    Returns:
        ``(id, fused score)``, best first; ties keep the order of first appearance.
    """
    fused: defaultdict[Id, float] = defaultdict(float)
    for ranking in rankings:
        scores = np.array([score for _, score in ranking], dtype=np.float64)
        sigma = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
        scaled = (
            (scores - scores.mean() + 3 * sigma) / (6 * sigma)
            if sigma > 0
            else np.full(len(scores), 0.5)
        )
        for (identity, _), value in zip(ranking, scaled.tolist(), strict=True):
            fused[identity] += value
    return _best_first(fused.items())


def weighted_sum_fusion(
    rankings: Sequence[Sequence[tuple[Id, float]]],
    weights: Sequence[float] | None = None,
) -> list[tuple[Id, float]]:
    """Fuse by the weighted sum of scores; an id that a list lacks counts 0 there.

    Source: BGE-M3 paper, section 3.2 (``s_dense + 0.3 s_sparse + s_colbert``).

    Args:
        rankings: lists of ``(id, score)``.
        weights: one for each ranking, 1 by default.

    Returns:
        ``(id, fused score)``, best first; ties keep the order of first appearance.

    Raises:
        InputError: there are not as many weights as rankings.
    """
    fused: defaultdict[Id, float] = defaultdict(float)
    for ranking, weight in zip(rankings, _weights(weights, len(rankings)), strict=True):
        for identity, score in ranking:
            fused[identity] += weight * score
    return _best_first(fused.items())


def maximal_marginal_relevance(
    query: FloatArray, candidates: FloatArray, *, lambda_mult: float, k: int
) -> list[int]:
    """Choose ``k`` candidates that are relevant and unlike each other.

    Each step takes the candidate with the highest
    ``lambda_mult * cos(query, c) - (1 - lambda_mult) * max cos(c, chosen)``
    (Carbonell and Goldstein, SIGIR 1998).

    Args:
        query: ``(dim,)``.
        candidates: ``(n, dim)``.
        lambda_mult: 1 is relevance alone, 0 diversity alone.
        k: how many to choose; all of them when there are fewer.

    Returns:
        Row numbers of the chosen candidates, in the order of choice.
    """
    if len(candidates) == 0 or k <= 0:
        return []
    unit = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    relevance = unit @ (query / np.linalg.norm(query))
    redundancy = np.full(len(unit), -np.inf)
    chosen: list[int] = []
    while len(chosen) < min(k, len(unit)):
        penalty = redundancy if chosen else np.zeros(len(unit))
        value = lambda_mult * relevance - (1.0 - lambda_mult) * penalty
        value[chosen] = -np.inf
        best = int(np.argmax(value))
        chosen.append(best)
        redundancy = np.maximum(redundancy, unit @ unit[best])
    return chosen


def _weights(weights: Sequence[float] | None, count: int) -> Sequence[float]:
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        raise InputError(f"{len(weights)} weights for {count} rankings; give one for each")
    return weights


def _best_first(fused: Iterable[tuple[Id, float]]) -> list[tuple[Id, float]]:
    return sorted(fused, key=lambda item: item[1], reverse=True)
