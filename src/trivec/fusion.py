"""The ways to make one list of several, and diversification: values, a table, pure functions.

A search says which fusion it wants by a name. The engines fuse inside one request: a store is asked
for that by a value. The default, ``adaptive``, needs the evidence of every list before it can weigh
them, so that trivec fuses the lists itself. The functions here are the formulas over lists of
``(id, score)``: for it, for stores without an engine, for lists of several collections, and for
tests of the engines.

============  ==========  ===============  ================  =============================
name          value       embedded engine  server            function
============  ==========  ===============  ================  =============================
``adaptive``                                                 ``share_fusion``
``rrf``       ``Rrf``     ``Fusion.Rrf``   ``RrfQuery``      ``reciprocal_rank_fusion``
``dbsf``      ``Dbsf``    ``Fusion.Dbsf``  ``FusionQuery``   ``distribution_based_fusion``
``linear``    ``Linear``  ``Formula``      ``FormulaQuery``  ``weighted_sum_fusion``
============  ==========  ===============  ================  =============================

A new fusion of the engines is a value, a row of ``FUSIONS`` and a formula here, and its call in
``stores/edge/codec.py`` and ``stores/server/requests.py``. Mypy names every place that lacks it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar, assert_never

import numpy as np

from trivec._runtime.checks import check_least, check_number, shown
from trivec._runtime.typed import check_fields, checked, unchecked
from trivec.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FUSIONS",
    "Dbsf",
    "Fusion",
    "FusionMethod",
    "FusionName",
    "Linear",
    "Rrf",
    "Scale",
    "distribution_based_fusion",
    "fuse",
    "maximal_marginal_relevance",
    "method_of",
    "reciprocal_rank_fusion",
    "share_fusion",
    "shares_of_best",
    "weighted_sum_fusion",
]

Id = TypeVar("Id", bound=Hashable)

_LARGE = 1e150
"""Of numbers below it, squares can be added up."""

FusionName: TypeAlias = Literal["adaptive", "rrf", "dbsf", "linear"]
"""What options call the ways of fusing; ``FUSIONS`` says what each is."""


def _check_weights(weights: Sequence[float]) -> None:
    for weight in weights:
        check_number("weights", weight, least=0, most=_LARGE)


@dataclass(frozen=True, slots=True)
class Rrf:
    """Reciprocal rank fusion: ``sum 1 / (k - 1 + (rank + 1) / weight)``, rank from 0.

    Attributes:
        k: Qdrant's constant; the paper's 60 is 61.
        weights: one for each prefetch; a weight divides the rank.
    """

    k: int
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("k", self.k, 1)
        _check_weights(self.weights)


@dataclass(frozen=True, slots=True)
class Dbsf:
    """Distribution-based score fusion: each list scaled by its mean and 3 standard deviations."""

    weights: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class Linear:
    """Weighted sum of exact scores over the union of all candidates; no match counts 0.

    Attributes:
        weights: one for each prefetch.
    """

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        _check_weights(self.weights)


@dataclass(frozen=True, slots=True)
class Scale:
    """How the scores of a list become shares of its best.

    Attributes:
        floor: the score that counts 0; None: the lowest of the list.
        power: of the share: above 1 the best stand out.

    Raises:
        InputError: the power is not above 0, or one of them is no number.
    """

    floor: float | None = None
    power: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_number("power", self.power, above=0)


Fusion: TypeAlias = Rrf | Dbsf | Linear
"""What a store is asked for; ``weights`` are None where it takes none."""


@dataclass(frozen=True, slots=True)
class FusionMethod:
    """What the planning of a search must know of a fusion.

    Attributes:
        weighted: whether it takes a weight for each list.
        adds_scores: whether it adds up the arms' own scores, so that it needs every arm's exact
            score of every candidate, and weights that bring the arms to one scale.
        request: returns the value for a store from the constant of RRF and the lists' weights;
            None where trivec fuses the lists.
    """

    weighted: bool
    adds_scores: bool
    request: Callable[[int, tuple[float, ...]], Fusion] | None


FUSIONS: Mapping[FusionName, FusionMethod] = {
    "adaptive": FusionMethod(weighted=True, adds_scores=False, request=None),
    "rrf": FusionMethod(weighted=True, adds_scores=False, request=Rrf),
    "dbsf": FusionMethod(weighted=False, adds_scores=False, request=lambda _k, _weights: Dbsf()),
    "linear": FusionMethod(
        weighted=True, adds_scores=True, request=lambda _k, weights: Linear(weights)
    ),
}
"""Every fusion by its name."""


@checked
def method_of(fusion: Fusion) -> FusionMethod:
    """Return the row of ``FUSIONS`` for a value."""
    match fusion:
        case Rrf():
            return FUSIONS["rrf"]
        case Dbsf():
            return FUSIONS["dbsf"]
        case Linear():
            return FUSIONS["linear"]
        case _:
            assert_never(fusion)


@checked
def fuse(fusion: Fusion, rankings: Sequence[Sequence[tuple[Id, float]]]) -> list[tuple[Id, float]]:
    """Fuse lists as an engine would.

    Args:
        fusion: how.
        rankings: lists of ``(id, score)``, best first.

    Returns:
        ``(id, fused score)``, best first; ties keep the order of first appearance.

    Raises:
        InputError: there are not as many weights as rankings.
    """
    match fusion:
        case Rrf(k, weights):
            return unchecked(reciprocal_rank_fusion)(rankings, k=k, weights=weights)
        case Dbsf():
            return unchecked(distribution_based_fusion)(rankings)
        case Linear(weights):
            return unchecked(weighted_sum_fusion)(rankings, weights)
        case _:
            assert_never(fusion)


@checked
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
        InputError: there are not as many weights as rankings, or ``k`` is less than 1.
    """
    check_least("k", k, 1)
    fused: defaultdict[Id, float] = defaultdict(float)
    for ranking, weight in zip(rankings, _weights(weights, len(rankings)), strict=True):
        for rank, (identity, _) in enumerate(ranking):
            fused[identity] += 1.0 / (k - 1 + (rank + 1) / weight) if weight > 0 else 0.0
    return _best_first(fused.items())


@checked
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

    Raises:
        InputError: a score is infinite.
    """
    fused: defaultdict[Id, float] = defaultdict(float)
    for ranking in rankings:
        scores = np.array([score for _, score in ranking], dtype=np.float64)
        if not abs(scores).max(initial=0.0) < _LARGE:
            scores = _moderate("a ranking", scores, axis=0)  # the same shares come of them
        sigma = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
        scaled = (
            (scores - scores.mean() + 3 * sigma) / (6 * sigma)
            if sigma > 0
            else np.full(len(scores), 0.5)
        )
        for (identity, _), value in zip(ranking, scaled.tolist(), strict=True):
            fused[identity] += value
    return _best_first(fused.items())


@checked
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


@checked
def shares_of_best(
    ranking: Sequence[tuple[Id, float]], floor: float | None = None, power: float = 1.0
) -> list[tuple[Id, float]]:
    """Scale a list to 0 for its floor and 1 for its best.

    Args:
        ranking: a list of ``(id, score)``.
        floor: the score that counts 0; None: the lowest of the list.
        power: what each share is raised to.

    Returns:
        The list in its order. Where the best is no better than the floor, all count 1.

    Raises:
        InputError: a score or the floor is infinite, or the power is not above 0.
    """
    check_number("power", power, above=0)
    shares = _shares(ranking, Scale(floor, power))
    return [(key, share) for (key, _), share in zip(ranking, shares, strict=True)]


def _shares(ranking: Sequence[tuple[Id, float]], scale: Scale) -> list[float]:
    if not ranking:
        return []
    scores = [score for _, score in ranking]
    best, least = max(scores), min(scores)
    if scale.floor is not None:
        least = min(scale.floor, least)
    span = best - least
    if not math.isfinite(span):
        raise InputError(
            f"the scores of the ranking go from {least:g} to {best:g}, the floor included; "
            "allowed: finite numbers whose difference is one"
        )
    if span <= 0:
        return [1.0] * len(scores)
    if scale.power == 1:
        return [(score - least) / span for score in scores]
    power = scale.power
    return [((score - least) / span) ** power for score in scores]


@checked
def share_fusion(
    rankings: Sequence[Sequence[tuple[Id, float]]],
    weights: Sequence[float] | None = None,
    scales: Sequence[Scale] | None = None,
) -> list[tuple[Id, float]]:
    """Fuse by the weighted mean of shares: what part of a list's best each score reaches.

    Args:
        rankings: lists of ``(id, score)``; an id that a list lacks counts 0 there.
        weights: one for each ranking, 1 by default.
        scales: how each ranking becomes shares; see ``shares_of_best``.

    Returns:
        ``(id, fused score)``, best first, each from 0 to 1; ties keep the order of first
        appearance.

    Raises:
        InputError: there are not as many weights or scales as rankings.
    """
    given = _weights(weights, len(rankings))
    scales = [Scale()] * len(rankings) if scales is None else scales
    if len(scales) != len(rankings):
        raise InputError(f"{len(scales)} scales for {len(rankings)} rankings; give one for each")
    total = sum(given) or 1.0
    fused: defaultdict[Id, float] = defaultdict(float)
    for ranking, weight, scale in zip(rankings, given, scales, strict=True):
        part = weight / total
        for (key, _), share in zip(ranking, _shares(ranking, scale), strict=True):
            fused[key] += part * share
    return _best_first(fused.items())


@checked
def maximal_marginal_relevance(
    query: NDArray[np.float32], candidates: NDArray[np.float32], *, lambda_mult: float, k: int
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

    Raises:
        InputError: the arrays hold no finite numbers or are not of these shapes, or
            ``lambda_mult`` is not from 0 to 1.
    """
    check_number("lambda_mult", lambda_mult, least=0, most=1)
    query, candidates = _numbers("query", query, 1), _numbers("candidates", candidates, 2)
    if len(candidates) and query.shape != candidates.shape[1:]:
        raise InputError(f"query has shape {query.shape}, the candidates {candidates.shape}")
    if len(candidates) == 0 or k <= 0:
        return []
    unit = _unit("candidates", candidates)
    relevance = unit @ _unit("query", query)
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


def _unit(name: str, vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return vectors of length 1, however long they were; one of zeros stays, and is like none."""
    values = _moderate(name, vectors, axis=-1)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, 1.0))


def _moderate(name: str, numbers: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return numbers divided by the largest along an axis: squares of large ones overflow.

    Raises:
        InputError: one is NaN or infinite.
    """
    values = numbers.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds NaN or infinity; allowed: finite numbers")
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    return np.asarray(values / np.where(largest > 0, largest, 1.0))


def _numbers(name: str, values: object, dimensions: int) -> NDArray[np.float32]:
    """Return an array of real numbers, where it is one of so many dimensions."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise InputError(f"{name}={shown(values)}; allowed: a numpy array of numbers")
    if values.ndim != dimensions:
        raise InputError(f"{name} has {values.ndim} dimensions; allowed: {dimensions}")
    return values


def _weights(weights: Sequence[float] | None, count: int) -> Sequence[float]:
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        raise InputError(f"{len(weights)} weights for {count} rankings; give one for each")
    return weights


def _best_first(fused: Iterable[tuple[Id, float]]) -> list[tuple[Id, float]]:
    return sorted(fused, key=itemgetter(1), reverse=True)
