"""Negatives: passages that look like an answer to a question, and are none."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from trivec._runtime.checks import check_least, check_number
from trivec._runtime.typed import check_fields, unchecked
from trivec.arms import DENSE, heads_of, vectors_by_arm
from trivec.errors import InputError
from trivec.index import HybridIndex
from trivec.index.planning import choose_arms, required_arms
from trivec.protocols import Reranker
from trivec.training.data.likeness import Signatures, likeness_to
from trivec.training.data.pairs import Corpus, Pair, key_of
from trivec.training.data.teaching import DenseTeacher
from trivec.types import FloatArray, Hit, QueryText, SearchOptions, Vector

__all__ = ["FilterRule", "Mined", "Miner", "MiningOptions"]

FilterRule: TypeAlias = Literal[
    "not in training", "neighbour", "near duplicate", "like the positive", "score", "reranker"
]
"""Why a passage that was found is no negative; see :class:`MiningOptions`."""

BATCH = 64
"""Questions that are searched at a time."""

SPARE = 1.3
"""How many more passages are asked for than the share of training passages makes necessary."""


FEW_ABOVE = 2
"""Passages that may score above the positive where a model's scores tell what is a negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningOptions:
    """Where negatives come from, and which passages are none.

    A passage that was found is no negative where one of these says so:

    - ``not in training``: it is of a document that is not trained on, or is held out.
    - ``neighbour``: it stands beside a positive in the same document, and may share its text.
    - ``near duplicate``: it has nearly the text of a positive.
    - ``like the positive``: it is as near to a positive as a paraphrase of it would be.
    - ``score``: it scores more than ``margin`` of what the positive does. Such a passage most
      likely answers the question, though nobody said so. A model that ranks the positive low
      cannot tell: its scores count where few passages are above the positive.
    - ``reranker``: so says a cross-encoder.

    Passages of which users said that they do not answer the question come before all found ones.

    Attributes:
        count: negatives of a question.
        least: the fewest that a question needs to be kept; 0 keeps questions without any, which
            FlagEmbedding's trainers cannot read.
        search: how passages are found; any arm, or the hybrid.
        first: the first rank that is looked at, from 1.
        last: the last one.
        choice: ``top`` takes the first that are left, ``random`` any of them.
        margin: the share of the positive's score above which a passage is no negative; None looks
            at no score.
        calibrated: count scores from that of passages drawn at random, and not from 0. Cosines of
            many models lie close together: of ``mini``, 95 % of a good score is less than what
            unrelated passages get.
        likeness: how near to a positive, from that of random passages (0) to itself (1), a
            passage is no negative; None looks at no likeness.
        neighbours: how many passages before and behind a positive are none.
        same_source: False takes no negative from a document of a positive.
        threshold: the share of characters, in runs, from which texts are near duplicates.
        reranked: how many passages a cross-encoder reads for each question, where one is given.
        seed: another one chooses otherwise.

    Raises:
        InputError: a value that cannot be used.
    """

    count: int = 7
    least: int = 1
    search: SearchOptions = field(default_factory=SearchOptions)
    first: int = 1
    last: int = 100
    choice: Literal["top", "random"] = "top"
    margin: float | None = 0.95
    calibrated: bool = True
    likeness: float | None = 0.8
    neighbours: int = 1
    same_source: bool = True
    threshold: float = 0.8
    reranked: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("count", self.count, 1)
        check_least("least", self.least, 0)
        check_least("first", self.first, 1)
        check_least("last", self.last, self.first)
        check_least("neighbours", self.neighbours, 0)
        check_least("reranked", self.reranked, 1)
        check_least("seed", self.seed, 0)
        check_number("margin", self.margin, above=0, or_none=True)
        check_number("likeness", self.likeness, above=0, most=1, or_none=True)
        check_number("threshold", self.threshold, above=0, most=1)
        if self.least > self.count:
            raise InputError(f"least={self.least} is more than {self.count=}; give at most that")

    @classmethod
    def ranks(
        cls,
        first: int = 10,
        last: int = 100,
        count: int = 7,
        *,
        search: SearchOptions | None = None,
        seed: int = 0,
    ) -> Self:
        """Return the older way: some of these ranks at random, whatever they score."""
        return cls(
            count=count,
            search=search or SearchOptions(),
            first=first,
            last=last,
            choice="random",
            margin=None,
            likeness=None,
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Mined:
    """What mining found for a pair.

    Attributes:
        rank: of its best positive among all passages, from 1; None where none came back.
        negatives: keys, the first found first.
        positive_scores: of its positives, in their order.
        negative_scores: of ``negatives``.
        filtered: passages that are no negatives, by rule.
    """

    rank: int | None
    negatives: tuple[str, ...] = ()
    positive_scores: tuple[float, ...] = ()
    negative_scores: tuple[float, ...] = ()
    filtered: dict[FilterRule, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` gave.

        Raises:
            KeyError, TypeError: it is something else.
        """
        return cls(
            data["rank"],
            tuple(data["negatives"]),
            tuple(data["positive_scores"]),
            tuple(data["negative_scores"]),
            dict(data["filtered"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Miner:
    """Finds negatives in an index.

    Attributes:
        index: what is searched.
        corpus: its passages.
        pool: keys of those that may be negatives.
        signatures: of the passages, in the corpus's order.
        teacher: gives scores; None where the index has no dense arm.
        options: what is a negative.
        within: the rank within which a positive is looked for.
        reranker: a cross-encoder that has the last word.
    """

    index: HybridIndex
    corpus: Corpus
    pool: frozenset[str]
    signatures: Signatures
    teacher: DenseTeacher | None
    options: MiningOptions
    within: int
    reranker: Reranker | None = None

    @property
    def depth(self) -> int:
        """How many passages are asked for, so that enough of them are of the pool."""
        share = max(len(self.pool), 1) / max(len(self.corpus), 1)
        needed = max(self.within, math.ceil(self.options.last / share * SPARE))
        return min(needed, max(len(self.corpus), 1))

    def over(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Mined]]:
        """Yield what was found for each pair, in their order."""
        place = {key: at for at, key in enumerate(self.corpus)}
        stream = iter(pairs)
        while batch := list(islice(stream, BATCH)):
            vectors, found = self._searched([pair.question for pair in batch])
            for pair, vector, hits in zip(batch, vectors, found, strict=True):
                keys = [key_of(hit.chunk) for hit in hits]
                known = [key for key in keys if key in place]
                yield pair, _Question(self, pair, vector, place).mined(known, _scores(hits))

    def _searched(
        self, questions: Sequence[str]
    ) -> tuple[list[FloatArray | None], list[list[Hit]]]:
        """Encode some questions once, for searching and for scores; return what was found."""
        search = self.options.search
        arms = required_arms(choose_arms(search, self.index.schema), search)
        needed = {*arms, *([DENSE.name] if self.teacher else [])}
        encodings = self.index.encoder.encode_queries(questions, heads=heads_of(needed))
        searched = [
            QueryText(question, vectors=_only(arms, unchecked(vectors_by_arm)(encoding)))
            for question, encoding in zip(questions, encodings, strict=True)
        ]
        found = self.index.search_batch(searched, self.depth, options=search)
        return [encoding.dense for encoding in encodings], found


def _only(arms: Iterable[str], vectors: Mapping[str, Vector]) -> dict[str, Vector]:
    return {arm: vectors[arm] for arm in arms if arm in vectors}


def _scores(hits: Sequence[Hit]) -> dict[str, float]:
    return {key_of(hit.chunk): hit.score for hit in hits}


class _Question:
    """One question, and which of the passages found are its negatives."""

    def __init__(
        self, miner: Miner, pair: Pair, vector: FloatArray | None, place: dict[str, int]
    ) -> None:
        self._miner = miner
        self._options = miner.options
        self._pair = pair
        self._place = place
        self._vector = vector
        self._filtered: Counter[FilterRule] = Counter()

    def mined(self, keys: Sequence[str], scores: dict[str, float]) -> Mined:
        """Return the negatives among what was found, best first."""
        pair, options = self._pair, self._options
        ranks = [at for at, key in enumerate(keys, start=1) if key in pair.positives]
        rank = min(ranks, default=None)
        trained = [key for key in keys if key in self._miner.pool or key in pair.positives]
        self._filtered["not in training"] = len(keys) - len(trained)
        window = trained[options.first - 1 : options.last]
        known = {*pair.positives, *pair.apart, *pair.rejected}
        candidates = [key for key in window if key not in known]
        judged = [key for key in pair.rejected if key in self._miner.pool]
        candidates = self._unlike(candidates)
        positives, found = self._scored(candidates, scores)
        found = self._below(found, max(positives, default=0.0))
        chosen = self._chosen(judged, found)
        if self._miner.reranker is not None:
            positives, chosen = self._reranked(self._miner.reranker, judged, found)
        return Mined(
            rank,
            tuple(chosen),
            tuple(positives),
            tuple(chosen.values()),
            {rule: count for rule, count in self._filtered.items() if count},
        )

    def _unlike(self, keys: Sequence[str]) -> list[str]:
        """Return the passages whose text and place are not nearly those of a positive."""
        kept = [key for key in keys if not self._is_neighbour(key)]
        self._filtered["neighbour"] += len(keys) - len(kept)
        rows = self._rows(kept)
        apart = np.ones(len(kept), dtype=bool)
        for row in self._rows(self._pair.positives):
            signatures = self._miner.signatures
            likeness = likeness_to(signatures[row], signatures[rows])
            apart &= likeness < self._options.threshold
        self._filtered["near duplicate"] += int((~apart).sum())
        teacher = self._miner.teacher
        if teacher is not None and self._options.likeness is not None:
            far = np.ones(len(kept), dtype=bool)
            for row in self._rows(self._pair.positives):
                far &= teacher.likeness(row, rows) < self._options.likeness
            self._filtered["like the positive"] += int((apart & ~far).sum())
            apart &= far
        return [key for key, is_apart in zip(kept, apart, strict=True) if is_apart]

    def _is_neighbour(self, key: str) -> bool:
        passage = self._miner.corpus[key]
        for positive in (self._miner.corpus[one] for one in self._pair.positives):
            if passage.document == positive.document:
                near = abs(passage.position - positive.position) <= self._options.neighbours
                if near or not self._options.same_source:
                    return True
        return False

    def _scored(
        self, keys: Sequence[str], scores: dict[str, float]
    ) -> tuple[list[float], dict[str, float]]:
        """Return the scores of the positives, and of passages by key."""
        teacher, positives = self._miner.teacher, self._pair.positives
        if teacher is None or self._vector is None:
            return [scores.get(key, 0.0) for key in positives], {key: scores[key] for key in keys}
        rated = teacher.scores(self._vector, self._rows([*positives, *keys])).tolist()
        return rated[: len(positives)], dict(zip(keys, rated[len(positives) :], strict=True))

    def _below(self, found: dict[str, float], positive: float) -> dict[str, float]:
        """Return the passages that score clearly less than the positive."""
        if self._options.margin is None:
            return found
        teacher = self._miner.teacher
        floor = teacher.floor if teacher is not None and self._options.calibrated else 0.0
        if sum(score > positive for score in found.values()) > FEW_ABOVE:
            return found  # what this model ranks wrongly is what there is to learn
        most = floor + self._options.margin * (positive - floor)
        kept = {key: score for key, score in found.items() if score <= most}
        self._filtered["score"] += len(found) - len(kept)
        return kept

    def _chosen(self, judged: Sequence[str], found: dict[str, float]) -> dict[str, float]:
        """Return as many negatives as are wanted, with their scores."""
        options = self._options
        _, rated = self._scored(judged, dict.fromkeys(judged, 0.0)) if judged else ([], {})
        first = dict(islice(rated.items(), options.count))
        wanted = options.count - len(first)
        keys = list(found)
        if options.choice == "random" and len(keys) > wanted:
            seed = sha256(f"{options.seed}\0{self._pair.id}".encode("utf-8", "surrogatepass"))
            drawn = random.Random(seed.digest()).sample(range(len(keys)), wanted)  # noqa: S311
            keys = [keys[at] for at in sorted(drawn)]
        return {**first, **{key: found[key] for key in keys[:wanted]}}

    def _reranked(
        self, reranker: Reranker, judged: Sequence[str], found: dict[str, float]
    ) -> tuple[list[float], dict[str, float]]:
        """Return positives and negatives with a cross-encoder's scores, without what it finds good.

        Its scores are logits, whose shares mean nothing: probabilities are compared.
        """
        corpus, positives = self._miner.corpus, self._pair.positives
        read = list(islice(found, self._options.reranked))
        keys = [*positives, *judged, *read]
        rated = dict(
            zip(
                keys,
                reranker.score(self._pair.question, [corpus[key].text for key in keys]),
                strict=True,
            )
        )
        best = max(_probability(rated[key]) for key in positives)
        most = best * (1.0 if self._options.margin is None else self._options.margin)
        good = {key: rated[key] for key in read if _probability(rated[key]) <= most}
        self._filtered["reranker"] += len(read) - len(good)
        chosen = self._chosen(judged, good)
        return [rated[key] for key in positives], {key: rated[key] for key in chosen}

    def _rows(self, keys: Sequence[str]) -> list[int]:
        return [self._place[key] for key in keys]


def _probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(min(logit, 60.0), -60.0)))
