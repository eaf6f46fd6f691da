"""Running systems on a dataset: one index, every text encoded once, no failure loses the rest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from time import perf_counter

from trivec._runtime.checks import check_least
from trivec.arms import heads_of
from trivec.encoders import MemoEncoder
from trivec.errors import InputError, TrivecError
from trivec.evaluation.costs import Costs, measured_costs
from trivec.evaluation.dataset import Dataset, Question
from trivec.evaluation.records import QuestionResult, Records, records_file
from trivec.evaluation.results import Evaluation, SystemResult
from trivec.evaluation.systems import System
from trivec.index import HybridIndex
from trivec.index.options import Progress
from trivec.index.planning import choose_arms, required_arms
from trivec.protocols import Reranker
from trivec.questions import QuestionIndex
from trivec.rerankers import RankingOptions, rank
from trivec.rewriting import CorpusVocabulary, FeedbackRewriter, Rewriter
from trivec.types import Hit, QueryText

__all__ = ["EvaluationOptions", "evaluate"]

logger = logging.getLogger(__name__)

SHOWN = 10
"""Passages of each question that reports can show."""

MEMO = 50_000
"""Query texts whose vectors are kept for the systems after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """How systems are run.

    Attributes:
        folder: where results are kept, a file for each system; a run that was ended goes on
            there. None keeps nothing.
        depth: passages that each question asks for.
        rerankers: by the name that systems call them by; others are loaded by their name.
        rewriters: by ``chat`` or ``corpus``; the corpus's own is made where it is not given.
        prefix: before the name of every system, to tell models apart.
        max_failures: failures one after another that end a system.

    Raises:
        InputError: a value is not allowed.
    """

    folder: Path | None = None
    depth: int = 20
    rerankers: Mapping[str, Reranker] = field(default_factory=dict)
    rewriters: Mapping[str, Rewriter] = field(default_factory=dict)
    prefix: str = ""
    max_failures: int = 10

    def __post_init__(self) -> None:
        check_least("depth", self.depth, 1)
        check_least("max_failures", self.max_failures, 1)


def evaluate(
    dataset: Dataset,
    index: HybridIndex,
    systems: Sequence[System],
    options: EvaluationOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Run systems on a dataset, over an index that holds its passages.

    Every question is encoded once, whatever the number of systems; to share that between datasets,
    give an index whose encoder is a ``MemoEncoder`` of all heads. A question that fails counts as
    one that finds nothing, and is named; so does a system that fails again and again.

    Args:
        dataset: questions, and what answers them.
        index: an index whose ids are the dataset's.
        systems: what is compared; the first of two that are the same is run.
        options: how they are run.
        progress: called with the number of questions asked.

    Raises:
        InputError: there are no systems.
        ModelError: the questions cannot be encoded at all.
    """
    options = options or EvaluationOptions()
    if not systems:
        raise InputError("systems is empty; give some, such as default_systems(index.schema)")
    run = _Run(dataset, index, options, progress or _ignore)
    results = [run.result(system) for system in dict.fromkeys(map(str, systems))]
    texts = run.texts(results)
    missing = {key for one in dataset.questions for key in one.relevant} - set(texts)
    return Evaluation(dataset, tuple(results), run.costs(), texts, frozenset(missing))


def _ignore(_count: int) -> None:
    return None


class _Run:
    def __init__(
        self, dataset: Dataset, index: HybridIndex, options: EvaluationOptions, progress: Progress
    ) -> None:
        memo = index.encoder
        if not isinstance(memo, MemoEncoder):
            memo = MemoEncoder(index.encoder, heads=heads_of(index.schema.vectors), size=MEMO)
        self._dataset = dataset
        self._memo = memo
        self._index = index.with_encoder(memo)
        self._options = options
        self._progress = progress
        self._rerankers = dict(options.rerankers)
        self._rewriters = dict(options.rewriters)
        self._questions: QuestionIndex | None = None
        self._encoded: set[str] = set()
        self._seconds = 0.0
        self._about = {
            "dataset": dataset.digest(),
            "depth": options.depth,
            "index": [str(index.schema.fingerprint), index.count()],
            "trivec": version("trivec"),
        }

    def result(self, text: str) -> SystemResult:
        """Run one system, or read what an earlier run has found."""
        system, folder = System.from_text(text), self._options.folder
        name = f"{self._options.prefix}{text}"
        path = None if folder is None else records_file(folder, name)
        records = Records(path, {**self._about, "system": name})
        pending = [one for one in self._dataset.questions if one.id not in records.results]
        error = ""
        if pending:
            try:
                search = self._search_of(system)
                with records.open():
                    error = self._ask(pending, search, records)
            except TrivecError as err:
                error = _told(err)
        self._progress(len(self._dataset.questions) - len(pending))
        if error:
            logger.warning("the system %r was given up: %s", name, error)
        results = tuple(
            records.results.get(one.id, QuestionResult(one.id, error=error or "not asked"))
            for one in self._dataset.questions
        )
        return SystemResult(name, system, results, error)

    def _ask(self, pending: Sequence[Question], search: _Search, records: Records) -> str:
        """Ask what has not been asked; return why a system was given up, if it was."""
        failures = 0
        for at, question in enumerate(pending):
            try:
                result = search.ask(question)
                failures = 0
            except TrivecError as err:
                result = QuestionResult(question.id, error=_told(err))
                failures += 1
            records.add(result)
            self._progress(1)
            if failures == self._options.max_failures:
                self._progress(len(pending) - at - 1)
                return f"{failures} questions in a row failed, the last since {result.error}"
        return ""

    def _search_of(self, system: System) -> _Search:
        """Load what a system needs, and encode the questions for it.

        Raises:
            TrivecError: something of it is not there.
        """
        arms = required_arms(choose_arms(system.search, self._index.schema), system.search)
        heads = heads_of(arms)
        texts = list(dict.fromkeys(one.text for one in self._dataset.questions))
        if heads and not self._encoded:
            start = perf_counter()
            self._memo.encode_queries(texts, heads=heads)
            self._seconds = perf_counter() - start
            self._encoded.update(texts)
        return _Search(
            index=self._questions_index() if system.questions else self._index,
            system=system,
            depth=self._options.depth,
            rewriter=None if system.rewriting is None else self._rewriter(system.rewriting),
            reranker=None if system.reranker is None else self._reranker(system.reranker),
        )

    def _questions_index(self) -> QuestionIndex:
        if self._questions is None:
            self._questions = QuestionIndex.open(self._index, create=False)
        return self._questions

    def _rewriter(self, name: str) -> Rewriter:
        if name not in self._rewriters:
            if name != "corpus":
                raise InputError(f"rewrite={name} needs a chat model; name one, or leave it out")
            self._rewriters[name] = FeedbackRewriter(CorpusVocabulary(self._index))
        return self._rewriters[name]

    def _reranker(self, name: str) -> Reranker:
        if name not in self._rerankers:
            from trivec.loading import load_reranker

            self._rerankers[name] = load_reranker(name)
        return self._rerankers[name]

    def costs(self) -> Costs:
        """Return what the index takes and what encoding takes; of an earlier run, if it did it."""
        texts = list(islice(self._encoded, 10_000))
        return measured_costs(
            self._index, self._memo.encoder, texts, self._seconds, self._options.folder
        )

    def texts(self, results: Sequence[SystemResult]) -> dict[str, str]:
        """Return the passages of the index that are relevant, or were found, by their ids."""
        if self._questions is not None:
            self._questions.close()
        relevant = [key for one in self._dataset.questions for key in one.relevant]
        found = [key for system in results for one in system.results for key in one.ids[:SHOWN]]
        held = self._index.get(list(dict.fromkeys([*relevant, *found])))
        return {str(chunk.id): chunk.text for chunk in held}


@dataclass(frozen=True, slots=True)
class _Search:
    """One system, with what it needs."""

    index: HybridIndex | QuestionIndex
    system: System
    depth: int
    rewriter: Rewriter | None
    reranker: Reranker | None

    def ask(self, question: Question) -> QuestionResult:
        """Search for one question, and measure each stage."""
        times: dict[str, float] = {}
        query: str | Sequence[QueryText] = question.text
        start = perf_counter()
        if self.rewriter is not None:
            query = self.rewriter.rewrite(question.text).query_texts()
            start = _lap(times, "rewrite", start)
        depth = self.depth if self.reranker is None else max(self.depth, self.system.candidates)
        hits = self.index.search(query, depth, options=self.system.search)
        start = _lap(times, "search", start)
        scores = [hit.score for hit in hits]
        if self.reranker is not None:
            hits, scores = self._reranked(question.text, hits, self.reranker)
            _lap(times, "rerank", start)
        return QuestionResult(
            question.id,
            tuple(hit.id for hit in hits[: self.depth]),
            tuple(scores[: self.depth]),
            times,
        )

    def _reranked(
        self, question: str, hits: Sequence[Hit], reranker: Reranker
    ) -> tuple[list[Hit], list[float]]:
        read = hits[: self.system.candidates]
        ranked = rank(
            reranker,
            question,
            [hit.text for hit in read],
            RankingOptions(retrieval_weight=self.system.weight_of_retrieval),
            retrieved=[hit.score for hit in read],
        )
        return [read[one.position] for one in ranked], [one.score for one in ranked]


def _lap(times: dict[str, float], stage: str, start: float) -> float:
    now = perf_counter()
    times[stage] = 1000 * (now - start)
    return now


def _told(err: TrivecError) -> str:
    return f"{type(err).__name__}: {err}"
