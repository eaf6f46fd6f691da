"""Adaptive fusion: every list is weighed by what its arm could match of this query.

A lexical arm has no say up to a coverage and its whole weight from a higher one; between them it
grows as the square. An arm that matches meaning keeps its own, as lexical arms do among
themselves. Every list is scaled from its floor to its best, and the weighted shares are added up.
Why these numbers, and what was tried: docs/fusion.md and benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from trivec._runtime.checks import MOST
from trivec._runtime.typed import unchecked
from trivec.arms import arm_named
from trivec.coverage import PASSAGES, coverage, unseen_idf
from trivec.fusion import share_fusion, shares_of_best
from trivec.query import Filter, Prefetch, StoreQuery
from trivec.types import FloatArray, PointId, ScorePart, SparseVector, StoredPoint

__all__ = ["AdaptiveSearch", "FusedList", "Ranking", "WeighedList", "fused"]

LOWER_AMONG_FEW = 0.15
"""Where a list holds every passage: there chance words are few, and details decide."""

Ranking: TypeAlias = list[tuple[PointId, float]]
"""Ids with their scores, best first."""


@dataclass(frozen=True, slots=True)
class FusedList:
    """A list to be fused: what one arm finds for one text.

    Attributes:
        arm: its name.
        text: the query text.
        prefetch: how it is looked up.
        weight: what the caller gave it.
        idf: whether the engine counts its terms by their IDF.
    """

    arm: str
    text: str
    prefetch: Prefetch
    weight: float
    idf: bool = False

    @property
    def lexical(self) -> bool:
        """Whether its weight depends on coverage."""
        return arm_named(self.arm).lexical

    def ranking(self, points: Sequence[StoredPoint]) -> Ranking:
        """Return what was found, without what its threshold refuses."""
        least = self.prefetch.threshold
        return [
            (point.id, point.score) for point in points if least is None or point.score >= least
        ]

    def lists_all(self, points: Sequence[StoredPoint]) -> bool:
        """Say whether everything that the arm can match is there."""
        return self.prefetch.threshold is None and len(points) < self.prefetch.limit

    def floor(self, ranking: Ranking) -> float | None:
        """Return the score that counts 0: of words that all were found, no match at all."""
        return 0.0 if self.lexical and len(ranking) < self.prefetch.limit else None

    def coverage(self, points: Sequence[StoredPoint], unseen: float) -> float:
        """Return how much of the query the best passages hold.

        Args:
            points: the best passages.
            unseen: the IDF of a word that no passage has.
        """
        name = self.prefetch.using
        read = [point for point in points if name in point.vectors]
        return coverage(
            cast("SparseVector", self.prefetch.vector),
            [cast("SparseVector", point.vectors[name]) for point in read],
            [point.score for point in read],
            idf=self.idf,
            unseen=unseen,
        )

    def weight_at(self, covered: float | None, lower: float) -> float:
        """Return what the list counts.

        Args:
            covered: its coverage; None where it keeps its own weight.
            lower: what is taken from the coverages between which an arm comes to its say.
        """
        arm = arm_named(self.arm)
        weight = self.weight * arm.adaptive_weight
        if covered is None:
            return weight
        part = (covered - arm.silent_to + lower) / (arm.whole_from - arm.silent_to)
        return weight * min(max(part, 0.0), 1.0) ** 2


@dataclass(frozen=True, slots=True)
class WeighedList:
    """A list as it was fused.

    Attributes:
        source: what was looked up.
        ranking: what it found.
        weight: what it counted; the weights of a search add up to 1.
        covered: the coverage of a lexical arm.
    """

    source: FusedList
    ranking: Ranking
    weight: float
    covered: float | None

    @property
    def floor(self) -> float | None:
        """The score that counts 0; None: the lowest."""
        return self.source.floor(self.ranking)

    def parts(self, ids: Sequence[PointId]) -> dict[PointId, ScorePart]:
        """Return what the list added to the score of each of some points."""
        share = dict(unchecked(shares_of_best)(self.ranking, self.floor))
        ranks = {key: rank for rank, (key, _) in enumerate(self.ranking, start=1)}
        arm, text, weight = self.source.arm, self.source.text, self.weight
        return {
            key: ScorePart(
                arm, text, weight, weight * share.get(key, 0.0), self.covered, ranks.get(key)
            )
            for key in ids
        }


@dataclass(frozen=True, slots=True)
class AdaptiveSearch:
    """A search whose lists are fused here.

    Attributes:
        lists: at least two.
        limit: how many results.
        offset: how many to skip.
        filter: AND-ed into every request.
        with_vectors: names of the vectors to return.
    """

    lists: tuple[FusedList, ...]
    limit: int
    offset: int = 0
    filter: Filter | None = None
    with_vectors: tuple[str, ...] = ()

    @property
    def requests(self) -> list[StoreQuery]:
        """The candidates of every list, then the best passages of every lexical one."""
        return [
            *(self.candidates(source) for source in self.lists),
            *(self._best_passages(source) for source in self.lists if source.lexical),
        ]

    def weighed(self, answers: Sequence[Sequence[StoredPoint]]) -> list[WeighedList]:
        """Weigh the lists by what the requests found."""
        best = iter(answers[len(self.lists) :])
        passages = self._passages(answers)
        unseen = unseen_idf(passages)
        lower = 0.0 if passages is None else LOWER_AMONG_FEW
        covered = [
            source.coverage(next(best), unseen) if source.lexical else None for source in self.lists
        ]
        rankings = [
            source.ranking(points)
            for source, points in zip(self.lists, answers, strict=False)  # the rest is evidence
        ]
        # words alone keep their weights: there is no arm of meaning that chance could outvote
        outvoted = any(not source.lexical for source in self.lists)
        weights = [
            source.weight_at(share if outvoted else None, lower)
            for source, share in zip(self.lists, covered, strict=True)
        ]
        total = sum(weights) or 1.0
        return [
            WeighedList(source, ranking, weight / total, share)
            for source, ranking, weight, share in zip(
                self.lists, rankings, weights, covered, strict=True
            )
        ]

    def _passages(self, answers: Sequence[Sequence[StoredPoint]]) -> int | None:
        """Return how many passages there are, where a list of all of them tells."""
        counts = [
            len(points)
            for source, points in zip(self.lists, answers, strict=False)
            if not source.lexical and source.lists_all(points)
        ]
        return max(counts, default=None)

    def candidates(self, source: FusedList) -> StoreQuery:
        """Return the request for what a list finds."""
        prefetches: tuple[Prefetch, ...] = (source.prefetch,)
        rescore = None
        if source.prefetch.over_candidates:
            others = [other.prefetch for other in self.lists]
            prefetches = tuple(other for other in others if not other.over_candidates)
            rescore = (source.prefetch.using, cast("FloatArray", source.prefetch.vector))
        needed = min(self.limit + self.offset, MOST)
        return StoreQuery(prefetches, needed, rescore=rescore, filter=self.filter, candidates=True)

    def _best_passages(self, source: FusedList) -> StoreQuery:
        few = replace(source.prefetch, limit=PASSAGES)
        names = (few.using,)
        return StoreQuery((few,), 1, filter=self.filter, with_vectors=names, candidates=True)


def fused(lists: Sequence[WeighedList]) -> Ranking:
    """Fuse weighed lists; best first."""
    return unchecked(share_fusion)(
        [each.ranking for each in lists],
        [each.weight for each in lists],
        [each.floor for each in lists],
    )
