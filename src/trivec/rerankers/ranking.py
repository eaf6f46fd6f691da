"""From a reranker's scores to the passages that are kept, in their new order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from trivec._runtime.checks import check_least, check_number
from trivec._runtime.typed import check_fields, checked
from trivec.errors import InputError, ModelError
from trivec.protocols import Reranker

__all__ = ["Ranked", "RankingOptions", "logistic", "rank"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage that was kept: where it stood in what was given, and the reranker's score."""

    position: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingOptions:
    """Which passages a reranking keeps.

    Attributes:
        top_n: at most so many; None keeps all.
        threshold: the least score that is kept, after ``normalize``; None keeps all.
        normalize: turn scores, where they are logits as a cross-encoder's raw ones, into
            probabilities by the logistic function.
        retrieval_weight: how much the scores of the retrieval count beside the reranker's in the
            order of the passages. Both are standardised over the passages first, so that 1 gives
            them equal say. The scores that are returned, and the threshold, stay the reranker's.
    """

    top_n: int | None = None
    threshold: float | None = None
    normalize: bool = False
    retrieval_weight: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("top_n", self.top_n, 0, or_none=True)
        if self.normalize and self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"threshold={self.threshold}; a probability lies between 0 and 1")
        check_number("retrieval_weight", self.retrieval_weight, least=0, below=math.inf)


KEEP_ALL = RankingOptions()


@checked
def rank(
    reranker: Reranker,
    query: str,
    passages: Sequence[str],
    options: RankingOptions = KEEP_ALL,
    *,
    retrieved: Sequence[float] | None = None,
) -> list[Ranked]:
    """Score passages and return those that are kept, best first; equal ones keep their order.

    Args:
        reranker: scores the passages.
        query: what was asked.
        passages: what was found.
        options: what is kept, and how it is ordered.
        retrieved: the passages' scores of the retrieval, higher is better; needed where
            ``options.retrieval_weight`` is not 0.

    Raises:
        InputError: the scores of the retrieval are needed and not given, or not one for each.
        ModelError: the reranker did not give one number for each passage.
    """
    weight = options.retrieval_weight
    if weight and (retrieved is None or len(retrieved) != len(passages)):
        given = "none" if retrieved is None else len(retrieved)
        raise InputError(
            f"retrieval_weight={weight} with {given} scores for {len(passages)} passages; give "
            "rank(..., retrieved=[hit.score for hit in hits])"
        )
    if not passages or options.top_n == 0:
        return []
    scores = [float(score) for score in reranker.score(query, passages)]
    if len(scores) != len(passages) or any(map(math.isnan, scores)):
        raise ModelError(
            f"the reranker gave {len(scores)} scores for {len(passages)} passages, or NaN; "
            "it must give one number for each"
        )
    order = scores
    if weight and retrieved is not None:
        pairs = zip(_standardised(scores), _standardised(retrieved), strict=True)
        order = [score + weight * retrieved for score, retrieved in pairs]
    if options.normalize:
        scores = [logistic(score) for score in scores]
    best_first = sorted(range(len(order)), key=order.__getitem__, reverse=True)
    kept = [
        Ranked(position, scores[position])
        for position in best_first
        if options.threshold is None or scores[position] >= options.threshold
    ]
    return kept[: options.top_n]


def _standardised(scores: Sequence[float]) -> list[float]:
    """Return scores with mean 0 and standard deviation 1; all 0 where they are equal."""
    mean, deviation = statistics.fmean(scores), statistics.pstdev(scores)
    return [(score - mean) / deviation if deviation else 0.0 for score in scores]


def logistic(logit: float) -> float:
    """Return the probability of a logit, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1.0 + power)
