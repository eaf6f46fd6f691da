"""Running systems on a dataset: one index, every text encoded once, no failure loses the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from time import perf_counter

from trivec._runtime.checks import check_least
from trivec.arms import heads_of
from trivec.encoders import MemoEncoder
from trivec.errors import InputError, TrivecError
from trivec.evaluation.asking import BLOCK, Asking, Parts, told
from trivec.evaluation.costs import Costs, measured_costs
from trivec.evaluation.dataset import Dataset, Question
from trivec.evaluation.locating import located
from trivec.evaluation.records import Records, records_file
from trivec.evaluation.results import Evaluation, SystemResult
from trivec.evaluation.systems import System
from trivec.index import HybridIndex
from trivec.index.options import Progress
from trivec.index.planning import choose_arms, required_arms
from trivec.protocols import Reranker
from trivec.rewriting import Rewriter
from trivec.types import Head

__all__ = ["EvaluationOptions", "evaluate", "remembering"]

SHOWN = 10
"""Passages of each question that reports can show."""

MEMO = 20_000
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
        timed: questions that every system is asked alone, to see how long it takes, and whether
            the rest may share their lookups; fewer than twice as many are taken.

    Raises:
        InputError: a value is not allowed.
    """

    folder: Path | None = None
    depth: int = 20
    rerankers: Mapping[str, Reranker] = field(default_factory=dict)
    rewriters: Mapping[str, Rewriter] = field(default_factory=dict)
    prefix: str = ""
    max_failures: int = 10
    timed: int = 50

    def __post_init__(self) -> None:
        check_least("depth", self.depth, 1)
        check_least("max_failures", self.max_failures, 1)
        check_least("timed", self.timed, 1)


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
        index: an index with the dataset's passages, known by their ids or by their words.
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
    dataset = located(dataset, index)
    run = _Run(dataset, index, options, progress or _ignore)
    results = run.results(list(dict.fromkeys(map(str, systems))))
    texts = run.texts(results)
    missing = {key for one in dataset.questions for key in one.relevant} - set(texts)
    return Evaluation(dataset, tuple(results), run.costs(), texts, frozenset(missing))


def remembering(index: HybridIndex) -> MemoEncoder:
    """Return an index's encoder, which remembers: itself where it does already."""
    if isinstance(index.encoder, MemoEncoder):
        return index.encoder
    return MemoEncoder(index.encoder, heads=heads_of(index.schema.vectors), size=MEMO)


def _ignore(_count: int) -> None:
    return None


class _Run:
    def __init__(
        self, dataset: Dataset, index: HybridIndex, options: EvaluationOptions, progress: Progress
    ) -> None:
        memo = remembering(index)
        self._dataset = dataset
        self._memo = memo
        self._options = options
        self._progress = progress
        self._parts = Parts(index.with_encoder(memo), options.rewriters, options.rerankers)
        self._encoded: set[str] = set()
        self._seconds = 0.0
        self._about = {
            "dataset": dataset.digest(),
            "depth": options.depth,
            "index": [str(index.schema.fingerprint), index.count()],
            "trivec": version("trivec"),
        }

    def results(self, names: Sequence[str]) -> list[SystemResult]:
        """Run systems, or read what an earlier run has found.

        Some questions are asked alone, by every system, and timed. The others are asked in blocks,
        in which all systems share what they look up; a system that finds something else so than
        alone is asked alone throughout.
        """
        questions = self._dataset.questions
        step = max(1, len(questions) // self._options.timed)
        timed, others = questions[::step], [one for at, one in enumerate(questions) if at % step]
        with ExitStack() as open_files:
            askings = [self._asking(System.from_text(name), open_files) for name in names]
            for asking in askings:
                asking.ask_alone(timed)
            if others:
                self._ask_together(askings, timed, others)
        return [asking.result(questions) for asking in askings]

    def _asking(self, system: System, open_files: ExitStack) -> Asking:
        """Return a system with what it needs, and what is known of it already."""
        name = f"{self._options.prefix}{system}"
        folder = self._options.folder
        path = None if folder is None else records_file(folder, name)
        records = Records(path, {**self._about, "system": name})
        known = sum(one.id in records.results for one in self._dataset.questions)
        if known:
            self._progress(known)
        asking = Asking(name, system, records, self._options.max_failures, self._progress)
        if known == len(self._dataset.questions):
            return asking
        try:
            arms = required_arms(choose_arms(system.search, self._parts.schema), system.search)
            self._encode(heads_of(arms))
            asking.search = self._parts.search_of(system, self._options.depth)
        except TrivecError as err:
            asking.give_up(told(err))
            return asking
        open_files.enter_context(records.open())
        return asking

    def _encode(self, heads: Sequence[Head]) -> None:
        texts = list(dict.fromkeys(one.text for one in self._dataset.questions))
        if heads and not self._encoded:
            start = perf_counter()
            self._memo.encode_queries(texts, heads=heads)
            self._seconds = perf_counter() - start
            self._encoded.update(texts)

    def _ask_together(
        self, askings: Sequence[Asking], timed: Sequence[Question], others: Sequence[Question]
    ) -> None:
        deepest = max(one.system.search.prefetch_k for one in askings)
        parts, store = self._parts.shared(max(deepest, self._options.depth))
        for asking in askings:
            if asking.search is not None and asking.pending(others):
                asking.share(parts, self._options.depth, timed)
        for at in range(0, len(others), BLOCK):
            block = others[at : at + BLOCK]
            for asking in askings:
                asking.ask_together(block)
            store.forget()

    def costs(self) -> Costs:
        """Return what the index takes and what encoding takes; of an earlier run, if it did it."""
        texts = list(islice(self._encoded, 10_000))
        return measured_costs(
            self._parts.index, self._memo.encoder, texts, self._seconds, self._options.folder
        )

    def texts(self, results: Sequence[SystemResult]) -> dict[str, str]:
        """Return the passages of the index that are relevant, or were found, by their ids."""
        self._parts.close()
        relevant = [key for one in self._dataset.questions for key in one.relevant]
        found = [key for system in results for one in system.results for key in one.ids[:SHOWN]]
        held = self._parts.index.get(list(dict.fromkeys([*relevant, *found])))
        return {str(chunk.id): chunk.text for chunk in held}
