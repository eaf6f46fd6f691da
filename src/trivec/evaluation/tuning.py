"""Choosing how to search on one half of the documents, and saying what that gains on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from trivec.arms import COLBERT, DENSE
from trivec.errors import InputError
from trivec.evaluation.comparing import ComparisonVerdict, verdict
from trivec.evaluation.dataset import Dataset
from trivec.evaluation.locating import located
from trivec.evaluation.metrics import MAIN_MEASURE
from trivec.evaluation.results import Evaluation
from trivec.evaluation.running import EvaluationOptions, evaluate, remembering
from trivec.evaluation.systems import System
from trivec.fusion import FUSIONS
from trivec.index import HybridIndex
from trivec.index.options import Progress
from trivec.index.planning import choose_arms
from trivec.schema import Schema
from trivec.types import SearchOptions

__all__ = ["Trial", "Tuning", "split_by_document", "tune"]

FACTORS = (0.0, 0.5, 2.0)
"""What the weight of each arm is multiplied by in turn."""

RRF_CONSTANTS = (2, 11, 61)
DEPTHS = (50, 100, 200)
MIXES = (0.0, 0.5, 1.0, 2.0)
"""Weights of the retrieval beside a reranker."""

LOST = (0.01, 0.05)
"""Shares of the relevant passages that a threshold may lose."""

TIMED = 10
"""Questions that a trial is asked alone: how long it takes is of no interest here."""

FEWEST = 20
"""Questions of each half below which nothing can be told."""

Step = Callable[[System, Schema], Iterator[System]]


@dataclass(frozen=True, slots=True)
class Trial:
    """A way to search that was tried, and what it reached on the half that is chosen by."""

    system: str
    mean: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was chosen, and what it gains on documents that had no part in the choice.

    Attributes:
        system: the way to search that is better; the one that was begun with where none is.
        verdict: of what was chosen beside what was begun with, on the held-out half; None where
            nothing else was better on the other half either.
        trials: what was tried; their figures chose, and say nothing of other questions.
        chosen_by: how many questions chose.
        held_out: how many questions judged.
    """

    system: System
    verdict: ComparisonVerdict | None
    trials: tuple[Trial, ...]
    chosen_by: int
    held_out: int

    @property
    def gained(self) -> bool:
        """Whether the held-out gain's whole interval is above 0."""
        return self.verdict is not None and self.verdict.word == "WIN"

    def __str__(self) -> str:
        halves = f"chosen by {self.chosen_by} questions, judged by {self.held_out} others"
        if self.verdict is None:
            return f"no gain: nothing is better than {self.system}; {halves}"
        if not self.gained:
            return f"no gain: {self.verdict}; {halves}; {self.system} is kept"
        return f"{self.verdict}; {halves}"


def split_by_document(dataset: Dataset, *, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return two halves whose questions share no document, about as many questions in each.

    Args:
        dataset: the questions; all passages stay in both halves.
        seed: of the order of the documents.

    Raises:
        InputError: a half would have fewer than 20 questions.
    """
    counts: dict[str, int] = {}
    for question in dataset.questions:
        counts[question.document] = counts.get(question.document, 0) + 1
    documents = sorted(counts)
    Random(seed).shuffle(documents)  # noqa: S311  # no secret
    first: list[str] = []
    taken = 0
    for document in documents:
        if taken + counts[document] / 2 <= len(dataset.questions) / 2:
            first.append(document)
            taken += counts[document]
    least = min(taken, len(dataset.questions) - taken)
    if least < FEWEST:
        raise InputError(
            f"{dataset.name!r} splits into halves of {taken} and "
            f"{len(dataset.questions) - taken} questions by document; give more documents, so that "
            f"each half has {FEWEST} questions at least"
        )
    return dataset.of_documents(first), dataset.of_documents(set(documents) - set(first))


def tune(
    dataset: Dataset,
    index: HybridIndex,
    begin: System | None = None,
    options: EvaluationOptions | None = None,
    *,
    held_out: Dataset | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuning:
    """Choose fusion, weights, depth, ColBERT, mix and thresholds, one after another.

    Each is chosen on one half of the documents; the other half says what all of them gain
    together. Where its interval touches 0 there is no gain, and what was begun with is kept.

    Args:
        dataset: questions of several documents.
        index: an index that holds its passages, known by their ids or by their words.
        begin: what is begun with; None is the default search. With a reranker, its mix is chosen.
        options: how systems are run; the folder is used for both halves.
        held_out: questions that judge, where a dataset comes in halves already; all of the other
            choose then. None splits by document.
        seed: of the split.
        progress: called with the number of questions asked.

    Raises:
        InputError: there are too few questions, or a document has questions in both halves.
    """
    halves = _halves(dataset, held_out, seed)
    choose, judge = (located(half, index) for half in halves)
    options = options or EvaluationOptions()
    trying = _Trying(choose, index, _within(options, "choose"), progress)
    start = best = begin or System()
    for step in STEPS:
        best = trying.best([best, *step(best, index.schema)])
    best = trying.best([best, *_thresholds(best, trying)])
    trials = tuple(Trial(name, value) for name, value in trying.means.items())
    counts = len(choose.questions), len(judge.questions)
    if best == start:
        return Tuning(start, None, trials, *counts)
    judging = _within(options, "judge")
    after, before = (
        evaluate(judge, index, [system], judging, progress=progress) for system in (best, start)
    )
    found = verdict(after, before)
    return Tuning(best if found.word == "WIN" else start, found, trials, *counts)


def _halves(dataset: Dataset, held_out: Dataset | None, seed: int) -> tuple[Dataset, Dataset]:
    if held_out is None:
        return split_by_document(dataset, seed=seed)
    documents, others = (
        {question.document for question in one.questions} for one in (dataset, held_out)
    )
    if both := sorted(documents & others):
        raise InputError(
            f"{len(both)} documents have questions in both halves, the first is {both[0]!r}; what "
            "is chosen on a document says nothing when it is judged on it"
        )
    least = min(len(dataset.questions), len(held_out.questions))
    if least < FEWEST:
        raise InputError(f"a half has {least} questions; give {FEWEST} at least")
    return dataset, held_out


class _Trying:
    """What ways to search reach on the half that chooses; those of a step are run together."""

    def __init__(
        self,
        dataset: Dataset,
        index: HybridIndex,
        options: EvaluationOptions,
        progress: Progress | None,
    ) -> None:
        self.means: dict[str, float] = {}
        self.schema = index.schema
        self._dataset = dataset
        self._index = index.with_encoder(remembering(index))
        self._options = replace(options, timed=min(options.timed, TIMED))
        self._progress = progress

    def best(self, systems: Sequence[System]) -> System:
        """Return the system with the highest mean; of equal ones the first, which was there."""
        by_name = {str(one): one for one in systems}
        missing = [one for name, one in by_name.items() if name not in self.means]
        if missing:
            ran = self.run(missing)
            figures = ran.figures(MAIN_MEASURE)
            for one in ran.systems:
                mean = -1.0 if one.error else float(figures[one.name].mean())
                self.means[str(one.system)] = mean
        return max(systems, key=lambda system: self.means[str(system)])

    def run(self, systems: Sequence[System]) -> Evaluation:
        """Ask every question of the half by some systems."""
        return evaluate(self._dataset, self._index, systems, self._options, progress=self._progress)


def _within(options: EvaluationOptions, name: str) -> EvaluationOptions:
    return options if options.folder is None else replace(options, folder=options.folder / name)


def _fusions(system: System, schema: Schema) -> Iterator[System]:
    del schema
    for name in FUSIONS:
        yield replace(system, search=replace(system.search, arms=None, fusion=name))


def _weights(system: System, schema: Schema) -> Iterator[System]:
    """Yield the system with one arm weaker, stronger or left out."""
    method = FUSIONS[system.search.fusion]
    arms = system.search.arms
    names = (
        [name for name in schema.vectors if name != COLBERT.name] if arms is None else list(arms)
    )
    if len(names) < 2:
        return
    given: Mapping[str, float] = arms if isinstance(arms, Mapping) else dict.fromkeys(names, 1.0)
    for name in names:
        for factor in FACTORS if method.weighted and not method.adds_scores else (0.0,):
            changed = {
                arm: weight * (factor if arm == name else 1) for arm, weight in given.items()
            }
            kept = {arm: weight for arm, weight in changed.items() if weight}
            plain = set(kept.values()) == {1.0}
            search = replace(system.search, arms=tuple(kept) if plain else kept)
            yield replace(system, search=search)


def _constants(system: System, schema: Schema) -> Iterator[System]:
    del schema
    if system.search.fusion == "rrf":
        for constant in RRF_CONSTANTS:
            yield replace(system, search=replace(system.search, rrf_k=constant))


def _depths(system: System, schema: Schema) -> Iterator[System]:
    del schema
    for depth in DEPTHS:
        yield replace(system, search=replace(system.search, prefetch_k=depth))


def _colbert(system: System, schema: Schema) -> Iterator[System]:
    if COLBERT.name in schema.vectors:
        yield replace(system, search=replace(system.search, colbert="rescore"))
        yield replace(system, search=replace(system.search, colbert="fuse"))


def _mixes(system: System, schema: Schema) -> Iterator[System]:
    del schema
    if system.reranker is not None:
        for weight in MIXES:
            yield replace(system, retrieval_weight=weight)


def _thresholds(system: System, trying: _Trying) -> Iterator[System]:
    """Yield the system with thresholds for dense vectors, which few relevant passages are below."""
    arms = choose_arms(system.search, trying.schema)
    if DENSE.name not in arms or len(arms) < 2:
        return
    dense = System(search=SearchOptions(arms=(DENSE.name,)))
    ran = trying.run([dense])
    scores = [
        score
        for question, found in zip(ran.dataset.questions, ran.systems[0].results, strict=True)
        for key, score in zip(found.ids, found.scores, strict=True)
        if key in question.relevant
    ]
    for lost in LOST if scores else ():
        least = round(float(np.quantile(scores, lost)), 3)
        search = replace(system.search, thresholds={DENSE.name: least})
        yield replace(system, search=search)


STEPS: tuple[Step, ...] = (_fusions, _weights, _weights, _constants, _depths, _colbert, _mixes)
"""What is chosen, in this order; weights twice, so that two arms may change."""
