"""Adaptive fusion: every list is weighed by what its arm could match of this query.

An arm that matches meaning has its list scaled from its last to its best. An arm that matches words
is believed as far as its coverage goes, and its list counts by the cube of what each passage
reaches of the best score: the passage that was asked for stands out, chance words are spread
evenly. Every list weighs by the cube of its prominence, too: one whose best stands out knows what
was meant. The less words are believed, the more token vectors count. The scaled lists are added up
by weight.
Why these numbers, and what was tried: docs/fusion.md and benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from trivec._runtime.checks import MOST
from trivec._runtime.typed import unchecked
from trivec.arms import arm_named
from trivec.coverage import (
    PASSAGES,
    belief,
    coverage,
    evidence_of_words,
    prominence,
    unseen_idf,
)
from trivec.fusion import Scale, share_fusion, shares_of_best
from trivec.query import Filter, Prefetch, RankedList, Ranking, StoreQuery
from trivec.types import FloatArray, PointId, ScorePart, SparseVector, StoredPoint

__all__ = ["AdaptiveSearch", "FusedList", "WeighedList", "fused"]

_arm = unchecked(arm_named)  # asked many times for every search
OF_MEANING = Scale()
OF_WORDS = Scale(floor=0.0, power=3.0)
"""No match counts 0. Chance words are spread evenly; the passage that was meant stands out."""


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
        return _arm(self.arm).lexical

    def accepted(self, ranking: Ranking) -> Ranking:
        """Return what was found, without what its threshold refuses."""
        least = self.prefetch.threshold
        return ranking if least is None else [each for each in ranking if each[1] >= least]

    def lists_all(self, ranking: Ranking) -> bool:
        """Say whether everything that the arm can match is there."""
        return self.prefetch.threshold is None and len(ranking) < self.prefetch.limit

    @property
    def scale(self) -> Scale:
        """How its scores become shares of its best."""
        return OF_WORDS if self.lexical else OF_MEANING

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

    def weight_at(self, believed: float | None, words: float) -> float:
        """Return what the list counts, whatever it found.

        Args:
            believed: which part of its weight it keeps; None where coverage says nothing of it.
            words: the most that any list of words of the search keeps.
        """
        arm = _arm(self.arm)
        if believed is not None:
            return self.weight * arm.adaptive_weight * believed
        wordless = arm.adaptive_weight if arm.wordless_weight is None else arm.wordless_weight
        return self.weight * (words * arm.adaptive_weight + (1 - words) * wordless)


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

    def parts(self, ids: Sequence[PointId]) -> dict[PointId, ScorePart]:
        """Return what the list added to the score of each of some points."""
        scale = self.source.scale
        share = dict(unchecked(shares_of_best)(self.ranking, scale.floor, scale.power))
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
        """The candidates of every list; of a lexical one, its best passages too."""
        return [self.candidates(source) for source in self.lists]

    def weighed(self, answers: Sequence[RankedList]) -> list[WeighedList]:
        """Weigh the lists by what the requests found."""
        found = list(zip(self.lists, answers, strict=True))
        unseen = unseen_idf(self._passages(answers))
        covered = [
            source.coverage(answer.evidence, unseen) if source.lexical else None
            for source, answer in found
        ]
        rankings = [source.accepted(answer.ranking) for source, answer in found]
        weights = self._weights(covered, answers)
        total = sum(weights) or 1.0
        return [
            WeighedList(source, ranking, weight / total, share)
            for source, ranking, weight, share in zip(
                self.lists, rankings, weights, covered, strict=True
            )
        ]

    def _weights(
        self, covered: Sequence[float | None], answers: Sequence[RankedList]
    ) -> list[float]:
        """Return what every list counts: by its arm, what it is believed, and its prominence."""
        if all(source.lexical for source in self.lists):
            # words alone keep their weights: there is no arm of meaning that chance could outvote
            return [source.weight_at(1.0, 1.0) for source in self.lists]
        beliefs = [None if share is None else belief(share) for share in self._believed(covered)]
        words = max((part for part in beliefs if part is not None), default=0.0)
        count = max(
            len(answer.ranking)
            for source, answer in zip(self.lists, answers, strict=True)
            if not source.lexical
        )
        return [
            source.weight_at(believed, words)
            * prominence([score for _, score in answer.ranking], count) ** 3
            for source, believed, answer in zip(self.lists, beliefs, answers, strict=True)
        ]

    def _believed(self, covered: Sequence[float | None]) -> list[float | None]:
        """Return the coverage that each list is believed by: plain words by the model's too."""
        learned = {
            source.text: share
            for source, share in zip(self.lists, covered, strict=True)
            if share is not None and _arm(source.arm).head is not None
        }
        return [
            evidence_of_words(share, learned.get(source.text))
            if share is not None and _arm(source.arm).head is None
            else share
            for source, share in zip(self.lists, covered, strict=True)
        ]

    def _passages(self, answers: Sequence[RankedList]) -> int | None:
        """Return how many passages there are, where a list of all of them tells."""
        counts = [
            len(answer.ranking)
            for source, answer in zip(self.lists, answers, strict=True)
            if not source.lexical and source.lists_all(answer.ranking)
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
        return StoreQuery(
            prefetches,
            needed,
            rescore=rescore,
            filter=self.filter,
            with_vectors=(source.prefetch.using,) if source.lexical else (),
            evidence=PASSAGES if source.lexical else 0,
        )


def fused(lists: Sequence[WeighedList]) -> Ranking:
    """Fuse weighed lists; best first."""
    return unchecked(share_fusion)(
        [each.ranking for each in lists],
        [each.weight for each in lists],
        [each.source.scale for each in lists],
    )
