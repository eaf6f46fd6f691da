"""From a reranker's scores to the passages that are kept, in their new order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trivec.errors import InputError, ModelError
from trivec.protocols import Reranker

__all__ = ["Ranked", "RankingOptions", "logistic", "rank"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage that was kept: where it stood in what was given, and its score."""

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
    """

    top_n: int | None = None
    threshold: float | None = None
    normalize: bool = False

    def __post_init__(self) -> None:
        if self.top_n is not None and self.top_n < 0:
            raise InputError(f"top_n={self.top_n}; it must be at least 0, or None for all")
        if self.normalize and self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"threshold={self.threshold}; a probability lies between 0 and 1")


KEEP_ALL = RankingOptions()


def rank(
    reranker: Reranker, query: str, passages: Sequence[str], options: RankingOptions = KEEP_ALL
) -> list[Ranked]:
    """Score passages and return those that are kept, best first; equal scores keep their order.

    Raises:
        ModelError: the reranker did not give one number for each passage.
    """
    if not passages or options.top_n == 0:
        return []
    scores = [float(score) for score in reranker.score(query, passages)]
    if len(scores) != len(passages) or any(map(math.isnan, scores)):
        raise ModelError(
            f"the reranker gave {len(scores)} scores for {len(passages)} passages, or NaN; "
            "it must give one number for each"
        )
    if options.normalize:
        scores = [logistic(score) for score in scores]
    kept = [
        Ranked(position, score)
        for position, score in enumerate(scores)
        if options.threshold is None or score >= options.threshold
    ]
    kept.sort(key=lambda ranked: ranked.score, reverse=True)
    return kept[: options.top_n]


def logistic(logit: float) -> float:
    """Return the probability of a logit, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1.0 + power)
