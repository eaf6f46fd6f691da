"""Asking questions in one way: alone and timed, or in blocks that share their lookups."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Self

from trivec.errors import InputError, TrivecError
from trivec.evaluation.dataset import Question
from trivec.evaluation.records import QuestionResult, Records
from trivec.evaluation.results import SystemResult
from trivec.evaluation.sharing import SharedStore, sharing
from trivec.evaluation.systems import System
from trivec.index import HybridIndex
from trivec.index.options import Progress
from trivec.protocols import Reranker
from trivec.questions import QuestionIndex
from trivec.rerankers import RankingOptions, rank
from trivec.rewriting import CorpusVocabulary, FeedbackRewriter, Rewriter
from trivec.schema import Schema
from trivec.types import Hit, QueryText

__all__ = ["BLOCK", "Asking", "Parts", "Search", "told"]

logger = logging.getLogger(__name__)

BLOCK = 128
"""Questions that are asked at once."""

CORPUS = "corpus"
"""The rewriter that is made of the index itself."""

CLOSE = 1e-4
"""Scores that differ by less, for 1 and more by this share, are the same."""


class Parts:
    """An index, and what systems use beside it; each is made when a system first needs it.

    Args:
        index: the index, whose encoder remembers.
        rewriters: by name; the corpus's own is made where it is not given.
        rerankers: by name; others are loaded by it.
    """

    def __init__(
        self,
        index: HybridIndex,
        rewriters: Mapping[str, Rewriter],
        rerankers: Mapping[str, Reranker],
    ) -> None:
        self.index = index
        self._given = rewriters
        self._rewriters = dict(rewriters)
        self._rerankers = dict(rerankers)
        self._questions: QuestionIndex | None = None

    @property
    def schema(self) -> Schema:
        """What the index holds."""
        return self.index.schema

    def shared(self, depth: int) -> tuple[Self, SharedStore]:
        """Return the same over an index that looks every list up once, and its store."""
        index, store = sharing(self.index, depth)
        rewriters = dict(self._given)
        own = self._rewriters.get(CORPUS)
        if CORPUS not in rewriters and isinstance(own, FeedbackRewriter):
            rewriters[CORPUS] = own.over(index)
        return type(self)(index, rewriters, self._rerankers), store

    def search_of(self, system: System, depth: int) -> Search:
        """Return a system's search, with what it needs.

        Raises:
            TrivecError: something of it is not there.
        """
        return Search(
            self._questions_index() if system.questions else self.index,
            system,
            depth,
            None if system.rewriting is None else self._rewriter(system.rewriting),
            None if system.reranker is None else self._reranker(system.reranker),
        )

    def close(self) -> None:
        """Close the question index, where one was opened."""
        if self._questions is not None:
            self._questions.close()

    def _questions_index(self) -> QuestionIndex:
        if self._questions is None:
            self._questions = QuestionIndex.open(self.index, create=False)
        return self._questions

    def _rewriter(self, name: str) -> Rewriter:
        if name not in self._rewriters:
            if name != CORPUS:
                raise InputError(f"rewrite={name} needs a chat model; name one, or leave it out")
            self._rewriters[name] = FeedbackRewriter(CorpusVocabulary(self.index))
        return self._rewriters[name]

    def _reranker(self, name: str) -> Reranker:
        if name not in self._rerankers:
            from trivec.loading import load_reranker

            self._rerankers[name] = load_reranker(name)
        return self._rerankers[name]


class Search:
    """One system, with what it needs."""

    def __init__(
        self,
        index: HybridIndex | QuestionIndex,
        system: System,
        depth: int,
        rewriter: Rewriter | None,
        reranker: Reranker | None,
    ) -> None:
        self.index = index
        self._system = system
        self._depth = depth
        self._rewriter = rewriter
        self._reranker = reranker
        self._wanted = depth if reranker is None else max(depth, system.candidates)

    def ask(self, question: Question) -> QuestionResult:
        """Search for one question, and measure each stage."""
        times: dict[str, float] = {}
        start = perf_counter()
        (query,) = self._queries([question])
        if self._rewriter is not None:
            start = _lap(times, "rewrite", start)
        hits = self.index.search(query, self._wanted, options=self._system.search)
        start = _lap(times, "search", start)
        scores = [hit.score for hit in hits]
        if self._reranker is not None:
            hits, scores = self._reranked(question.text, hits, self._reranker)
            _lap(times, "rerank", start)
        return self._result(question, hits, scores, times)

    def ask_all(self, questions: Sequence[Question]) -> list[QuestionResult]:
        """Search for some questions at once; no time of any of them can be told."""
        if isinstance(self.index, QuestionIndex):
            return [self.ask(question) for question in questions]
        queries = self._queries(questions)
        found = self.index.search_batch(queries, self._wanted, options=self._system.search)
        results = []
        for question, hits in zip(questions, found, strict=True):
            ordered, scores = hits, [hit.score for hit in hits]
            if self._reranker is not None:
                ordered, scores = self._reranked(question.text, hits, self._reranker)
            results.append(self._result(question, ordered, scores, {}))
        return results

    def _queries(self, questions: Sequence[Question]) -> list[QueryText | Sequence[QueryText]]:
        texts = [question.text for question in questions]
        if self._rewriter is None:
            return [_as_text(text) for text in texts]
        if isinstance(self._rewriter, FeedbackRewriter):
            return [one.query_texts() for one in self._rewriter.rewrite_batch(texts)]
        return [self._rewriter.rewrite(text).query_texts() for text in texts]

    def _result(
        self,
        question: Question,
        hits: Sequence[Hit],
        scores: Sequence[float],
        times: Mapping[str, float],
    ) -> QuestionResult:
        ids = tuple(hit.id for hit in hits[: self._depth])
        return QuestionResult(question.id, ids, tuple(scores[: self._depth]), times)

    def _reranked(
        self, question: str, hits: Sequence[Hit], reranker: Reranker
    ) -> tuple[list[Hit], list[float]]:
        read = hits[: self._system.candidates]
        ranked = rank(
            reranker,
            question,
            [hit.text for hit in read],
            RankingOptions(retrieval_weight=self._system.weight_of_retrieval),
            retrieved=[hit.score for hit in read],
        )
        return [read[one.position] for one in ranked], [one.score for one in ranked]


class Asking:
    """A system in a run: what it has found, and how it asks for the rest.

    Args:
        name: of the system in the run.
        system: the system.
        records: where its results are kept.
        max_failures: failures one after another that end it.
        progress: called with the number of questions dealt with.
    """

    def __init__(
        self, name: str, system: System, records: Records, max_failures: int, progress: Progress
    ) -> None:
        self.system = system
        self.search: Search | None = None
        self._name = name
        self._records = records
        self._most = max_failures
        self._progress = progress
        self._together: Search | None = None
        self._failures = 0
        self._error = ""

    def pending(self, questions: Sequence[Question]) -> list[Question]:
        """Return those that were not asked yet."""
        return [one for one in questions if one.id not in self._records.results]

    def ask_alone(self, questions: Sequence[Question]) -> None:
        """Ask what was not asked, one by one."""
        search = self.search
        if search is None:
            return
        for question in self.pending(questions):
            try:
                result = search.ask(question)
                self._failures = 0
            except TrivecError as err:
                result = QuestionResult(question.id, error=told(err))
                self._failures += 1
            self._records.add(result)
            self._progress(1)
            if self._failures == self._most:
                last = f"{self._most} questions in a row failed, the last since {result.error}"
                self.give_up(last)
                return

    def share(self, parts: Parts, depth: int, timed: Sequence[Question]) -> None:
        """Take part in blocks from now on, if that finds what was found alone.

        Args:
            parts: over an index whose lookups are shared.
            depth: passages that each question asks for.
            timed: questions that were asked alone.
        """
        if self.search is None or self.system.questions or self.system.rewriting == "chat":
            return  # what takes its time is not shared
        known = [one for one in timed if not self._records.results[one.id].error]
        if not known:
            return  # nothing could be compared
        try:
            search = parts.search_of(self.system, depth)
            again = search.ask_all(known)
        except TrivecError:
            return  # asked alone, each question says what is wrong with it
        if all(_alike(one, self._records.results[one.question]) for one in again):
            self._together = search
        else:
            logger.warning(
                "%s finds something else where lookups are shared; it is asked alone", self._name
            )

    def ask_together(self, questions: Sequence[Question]) -> None:
        """Ask what was not asked, all at once where that is possible."""
        pending = self.pending(questions)
        if self.search is None or not pending:
            return
        if self._together is not None:
            try:
                results = self._together.ask_all(pending)
            except TrivecError:
                logger.debug("%s: a block failed; its questions are asked alone", self._name)
            else:
                self._failures = 0
                for result in results:
                    self._records.add(result)
                self._progress(len(results))
                return
        self.ask_alone(pending)

    def give_up(self, error: str) -> None:
        """Ask no more; say why."""
        self.search = None
        self._error = error
        logger.warning("the system %r was given up: %s", self._name, error)

    def result(self, questions: Sequence[Question]) -> SystemResult:
        """Return what was found for each of the dataset's questions."""
        left = self.pending(questions)
        if left:
            self._progress(len(left))
        missing = self._error or "not asked"
        results = tuple(
            self._records.results.get(one.id, QuestionResult(one.id, error=missing))
            for one in questions
        )
        return SystemResult(self._name, self.system, results, self._error)


@lru_cache(BLOCK)
def _as_text(question: str) -> QueryText:
    """Return a question as searches take it; all systems ask the same."""
    return QueryText(question)


def _alike(first: QuestionResult, second: QuestionResult) -> bool:
    """Say whether two results have the same scores, and the same passages but for equal scores."""
    if len(first.scores) != len(second.scores):
        return False
    pairs = list(zip(first.scores, second.scores, strict=True))
    if any(abs(one - other) > CLOSE * max(1.0, abs(one)) for one, other in pairs):
        return False
    last = min(first.scores, default=0.0)
    above = last + 2 * CLOSE * max(1.0, abs(last))
    sure, sure_too = (
        {key for key, score in zip(one.ids, one.scores, strict=True) if score > above}
        for one in (first, second)
    )
    return sure <= set(second.ids) and sure_too <= set(first.ids)


def _lap(times: dict[str, float], stage: str, start: float) -> float:
    now = perf_counter()
    times[stage] = 1000 * (now - start)
    return now


def told(err: TrivecError) -> str:
    """Return an error as results keep it."""
    return f"{type(err).__name__}: {err}"
