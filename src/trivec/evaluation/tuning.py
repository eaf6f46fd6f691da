"""Choosing how to search on one half of the documents, and saying what that gains on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from trivec.arms import COLBERT
from trivec.errors import InputError
from trivec.evaluation.comparing import ComparisonVerdict, verdict
from trivec.evaluation.dataset import Dataset
from trivec.evaluation.metrics import MAIN_MEASURE
from trivec.evaluation.running import EvaluationOptions, evaluate
from trivec.evaluation.systems import System
from trivec.fusion import FUSIONS
from trivec.index import HybridIndex
from trivec.index.options import Progress
from trivec.schema import Schema

__all__ = ["Trial", "Tuning", "split_by_document", "tune"]

FACTORS = (0.0, 0.5, 2.0)
"""What the weight of each arm is multiplied by in turn."""

RRF_CONSTANTS = (2, 11, 61)
DEPTHS = (50, 100, 200)
MIXES = (0.0, 0.5, 1.0, 2.0)
"""Weights of the retrieval beside a reranker."""

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
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuning:
    """Choose fusion, weights, depth, ColBERT and the reranker's mix, one after another.

    Each is chosen on one half of the documents; the other half says what all of them gain
    together. Where its interval touches 0 there is no gain, and what was begun with is kept.

    Args:
        dataset: questions of several documents.
        index: an index that holds its passages.
        begin: what is begun with; None is the default search. With a reranker, its mix is chosen.
        options: how systems are run; the folder is used for both halves.
        seed: of the split.
        progress: called with the number of questions asked.

    Raises:
        InputError: there are too few questions.
    """
    choose, judge = split_by_document(dataset, seed=seed)
    options = options or EvaluationOptions()
    means: dict[str, float] = {}

    def mean(system: System) -> float:
        name = str(system)
        if name not in means:
            ran = evaluate(choose, index, [system], _within(options, "choose"), progress=progress)
            values = ran.figures(MAIN_MEASURE)[ran.names[0]]
            means[name] = -1.0 if ran.systems[0].error else float(values.mean())
        return means[name]

    start = best = begin or System()
    for step in STEPS:
        tried = [best, *step(best, index.schema)]
        best = max(tried, key=mean)  # of equal ones the first, which is what there was
    trials = tuple(Trial(name, value) for name, value in means.items())
    counts = len(choose.questions), len(judge.questions)
    if best == start:
        return Tuning(start, None, trials, *counts)
    judging = _within(options, "judge")
    after, before = (
        evaluate(judge, index, [system], judging, progress=progress) for system in (best, start)
    )
    found = verdict(after, before)
    return Tuning(best if found.word == "WIN" else start, found, trials, *counts)


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


STEPS: tuple[Step, ...] = (_fusions, _weights, _weights, _constants, _depths, _colbert, _mixes)
"""What is chosen, in this order; weights twice, so that two arms may change."""
