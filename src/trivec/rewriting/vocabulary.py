"""The words of a corpus that belong to a question, found by a first search.

Lay words and a text's own words may have nothing in common but their meaning. A first search by
meaning finds passages that are near the question; the words that stand out in them, and not in the
question, are what the documents call the matter.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from trivec._runtime.checks import check_least
from trivec._runtime.lazy import Lazy
from trivec._runtime.typed import checked
from trivec.arms import DENSE, LEXICAL
from trivec.bm25 import Bm25Analyzer
from trivec.errors import InputError
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.types import Hit, QueryText

if TYPE_CHECKING:
    from trivec.query import Filter

__all__ = ["CorpusTerm", "CorpusTerms", "CorpusVocabulary"]

SATURATION = 1.2
"""BM25's k1: how slowly a repeated word gains weight."""

REMEMBERED = 1000
"""Passages whose words are kept."""

LONGEST_WORD = 32
"""Characters; what is longer is an address or a key, not a word."""


@dataclass(frozen=True, slots=True)
class CorpusTerm:
    """A word of the found passages, and how much it stands out in them."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True)
class CorpusTerms:
    """What a corpus has to offer for a question.

    Attributes:
        terms: the words that stand out, strongest first.
        covered: True where the question speaks the corpus's language already, so that none are
            looked for.
    """

    terms: tuple[CorpusTerm, ...] = ()
    covered: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words alone, strongest first."""
        return tuple(term.word for term in self.terms)


class CorpusVocabulary:
    """Finds the words of a corpus that belong to a question.

    The question is searched for by meaning (the dense arm) and by its words (the lexical arms).
    Where the two agree on a passage the question is in the corpus's own words and needs no others:
    it is *covered*. Else the words that stand out in what was found by meaning are given.

    A word's weight is its share of each found passage, first passages counting more, times its
    inverse document frequency. That is computed from a sample of the corpus which is read once, at
    the first question; a new object reads a new one. Words are letters and digits of bounded
    length, so that none can pass for markup. Safe to use from several threads.

    The question is encoded here and again where it is searched for: give both searches an index
    whose encoder remembers (``index.with_encoder(MemoEncoder(index.encoder))``), and it is once.

    Args:
        index: what is searched, and sampled.
        passages: how many found passages the words are taken from.
        count: how many words are given at most.
        agreement: a question is covered where the two searches share a passage among so many
            first ones; 0 takes no question for covered.
        sample: how many passages the document frequencies are computed from.
        filter: keeps both to a part of the index, as in :meth:`trivec.HybridIndex.search`.

    Raises:
        InputError: a number that is too small, or an index without a dense arm.
    """

    @checked
    def __init__(
        self,
        index: HybridIndex,
        *,
        passages: int = 3,
        count: int = 24,
        agreement: int = 3,
        sample: int = 5000,
        filter: Filter | Mapping[str, Any] | None = None,
    ) -> None:
        check_least("passages", passages, 1)
        check_least("count", count, 1)
        check_least("agreement", agreement, 0)
        check_least("sample", sample, 1)
        arms = index.arms()
        if DENSE.name not in arms:
            raise InputError(f"the index has the arms {list(arms)}; words need {DENSE.name!r}")
        self._index = index
        self._lexical = tuple(arm for arm in LEXICAL if arm in arms)
        self._passages = passages
        self._count = count
        self._agreement = agreement
        self._sample = sample
        self._filter = filter
        self._analyzer = binding_of(index).analyzer or Bm25Analyzer()
        self._frequencies = Lazy(self._read_frequencies)
        self._named = lru_cache(REMEMBERED)(self._words_of)  # many questions find the same

    @checked
    def look_up(self, question: str) -> CorpusTerms:
        """Return the words that stand out in what the question finds, its own left out.

        Raises:
            InputError: the question is blank.
        """
        return self.look_up_batch([question])[0]

    @checked
    def look_up_batch(self, questions: Sequence[str]) -> list[CorpusTerms]:
        """Look the words of several questions up, with one request for all.

        Raises:
            InputError: a question is blank.
        """
        checked = self._agreement if self._lexical else 0
        searches = [QueryText(question, arms=(DENSE.name,)) for question in questions]
        if checked:
            searches += [QueryText(question, arms=self._lexical) for question in questions]
        depth = max(self._passages, checked)
        found = self._index.search_batch(searches, depth, filter=self._filter)
        by_meaning = found[: len(questions)]
        by_words = found[len(questions) :] if checked else [[] for _ in questions]
        return [
            self._read(question, hits, words[:checked])
            for question, hits, words in zip(questions, by_meaning, by_words, strict=True)
        ]

    @checked
    def over(self, index: HybridIndex) -> CorpusVocabulary:
        """Return the same over another index of the same passages; the sample is not read again."""
        other = copy(self)
        other._index = index  # noqa: SLF001  # this class's own
        return other

    def _read(self, question: str, hits: Sequence[Hit], by_words: Sequence[Hit]) -> CorpusTerms:
        """Return a question's words, none where the two searches agree."""
        agreeing = {hit.id for hit in by_words}
        if any(hit.id in agreeing for hit in hits[: self._agreement]):
            return CorpusTerms(covered=True)
        return CorpusTerms(self._terms(question, hits[: self._passages]))

    def _terms(self, question: str, hits: Sequence[Hit]) -> tuple[CorpusTerm, ...]:
        asked = {term for term, _ in self._analyzer.named_terms(question)}
        weights: dict[str, float] = defaultdict(float)
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for rank, hit in enumerate(hits):
            named = self._named(hit.chunk.text)
            for term, word in named:
                spellings[term][word] += 1
            for term, times in Counter(term for term, _ in named).items():
                weights[term] += times / (times + SATURATION) / (rank + 2)
        frequencies = self._frequencies()
        scored = [
            CorpusTerm(spellings[term].most_common(1)[0][0], weight * frequencies.inverse(term))
            for term, weight in weights.items()
            if term not in asked
        ]
        return tuple(sorted(scored, key=lambda word: (-word.weight, word.word))[: self._count])

    def _words_of(self, text: str) -> tuple[tuple[str, str], ...]:
        return tuple(pair for pair in self._analyzer.named_terms(text) if _is_word(*pair))

    def _read_frequencies(self) -> _Frequencies:
        chunks = islice(self._index.chunks(self._filter), self._sample)
        return _Frequencies.of(
            (term for term, _ in self._analyzer.named_terms(chunk.text)) for chunk in chunks
        )


@dataclass(frozen=True, slots=True)
class _Frequencies:
    """In how many passages of a sample each term occurs."""

    passages: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, texts: Iterable[Iterable[str]]) -> _Frequencies:
        counts: Counter[str] = Counter()
        passages = 0
        for terms in texts:
            counts.update(set(terms))
            passages += 1
        return cls(passages, counts)

    def inverse(self, term: str) -> float:
        """Return BM25's inverse document frequency."""
        count = self.counts.get(term, 0)
        return math.log(1 + (self.passages - count + 0.5) / (count + 0.5))


def _is_word(term: str, word: str) -> bool:
    """Say whether a word means something alone: no number, no single character."""
    return 1 < len(word) <= LONGEST_WORD and term[0].isalpha()
