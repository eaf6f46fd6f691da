"""What systems reached on a dataset, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trivec._showing.tables import bar, note, number, table
from trivec._showing.texts import visible
from trivec.errors import InputError
from trivec.evaluation.costs import Costs
from trivec.evaluation.dataset import Dataset, Question
from trivec.evaluation.features import Features, features_of
from trivec.evaluation.metrics import MAIN_MEASURE, MEASURES, figures
from trivec.evaluation.records import QuestionResult
from trivec.evaluation.statistics import (
    Comparison,
    DrawnBy,
    Estimate,
    compare_all,
    estimate_all,
    units_of,
)
from trivec.evaluation.systems import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Evaluation", "Latency", "SystemResult", "joined"]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of a stage: of half of the questions at most, of 95 in 100 at most."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class SystemResult:
    """What one system found.

    Attributes:
        name: how reports call it: the system's line, after a model's name where there are several.
        system: the system.
        results: one for each question of the dataset, in its order.
        error: why the system was given up; empty where it was not.
    """

    name: str
    system: System
    results: tuple[QuestionResult, ...]
    error: str = ""

    @property
    def failed(self) -> tuple[QuestionResult, ...]:
        """The questions that failed; they count as finding nothing."""
        return tuple(result for result in self.results if result.error)

    def latencies(self) -> dict[str, Latency]:
        """Return the time of each stage, and of all together; encoding the question aside."""
        timed = [dict(one.milliseconds) for one in self.results if one.milliseconds]
        if not timed:
            return {}
        stages = list(dict.fromkeys(stage for times in timed for stage in times))
        columns = {stage: [times.get(stage, 0.0) for times in timed] for stage in stages}
        columns["all"] = [sum(times.values()) for times in timed]
        return {
            stage: Latency(float(np.median(times)), float(np.percentile(times, 95)))
            for stage, times in columns.items()
        }


@dataclass(frozen=True)
class Evaluation:
    """What systems reached on a dataset.

    Attributes:
        dataset: the questions.
        systems: what each system found.
        costs: what the index takes.
        texts: the passages that reports show, by id.
        missing: relevant passages that the index does not hold; nothing can find them.
    """

    dataset: Dataset
    systems: tuple[SystemResult, ...]
    costs: Costs
    texts: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the systems."""
        return tuple(one.name for one in self.systems)

    def system(self, name: str) -> SystemResult:
        """Return what the system of a name found.

        Raises:
            InputError: there is none.
        """
        for result in self.systems:
            if result.name == name:
                return result
        raise InputError(f"{name!r} was not run; these were: {', '.join(self.names)}")

    def figures(self, measure: str = MAIN_MEASURE) -> dict[str, NDArray[np.float64]]:
        """Return what each question scores, by system ``(questions,)``."""
        if measure in MEASURES:
            return {name: scored[measure] for name, scored in self._scored.items()}
        return {name: scored[measure] for name, scored in self._score((measure,)).items()}

    @cached_property
    def _scored(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        return self._score(MEASURES)

    def _score(self, measures: Sequence[str]) -> dict[str, dict[str, NDArray[np.float64]]]:
        return {
            one.name: figures(
                self.dataset.questions,
                {result.question: result.ids for result in one.results},
                measures,
            )
            for one in self.systems
        }

    @cached_property
    def features(self) -> list[Features]:
        """What is known of each question without a search: languages, shared words."""
        return features_of(self.dataset.questions, self.texts)

    @cached_property
    def _estimates(self) -> dict[str, dict[str, Estimate]]:
        return {}

    @cached_property
    def _comparisons(self) -> dict[str, list[Comparison]]:
        return {}

    @cached_property
    def _first_relevant(self) -> dict[str, list[int | None]]:
        return {}

    @cached_property
    def _units(self) -> tuple[NDArray[np.intp], DrawnBy]:
        return units_of([question.document for question in self.dataset.questions])

    @property
    def drawn_by(self) -> DrawnBy:
        """What was drawn together where chance was estimated."""
        return self._units[1]

    def estimates(self, measure: str = MAIN_MEASURE) -> dict[str, Estimate]:
        """Return the mean of each system, with its interval."""
        if measure not in self._estimates:
            self._estimates[measure] = estimate_all(self.figures(measure), self._units[0])
        return self._estimates[measure]

    def comparisons(self, measure: str = MAIN_MEASURE) -> list[Comparison]:
        """Return every pair of systems, corrected together."""
        if measure not in self._comparisons:
            self._comparisons[measure] = compare_all(self.figures(measure), self._units[0])
        return self._comparisons[measure]

    def first_relevant(self, name: str) -> list[int | None]:
        """Return, for each question, the rank from 0 of its first relevant passage, if found."""
        if name not in self._first_relevant:
            results = self.system(name).results
            self._first_relevant[name] = [
                next((rank for rank, key in enumerate(found.ids) if key in question.relevant), None)
                for question, found in zip(self.dataset.questions, results, strict=True)
            ]
        return self._first_relevant[name]

    def _repr_html_(self) -> str:
        estimates = self.estimates()
        means = {name: self.figures(name) for name in MEASURES if name != MAIN_MEASURE}
        rows = []
        for one in sorted(self.systems, key=lambda one: -estimates[one.name].mean):
            own = estimates[one.name]
            said = [f"given up: {one.error}"] if one.error else []
            said += [f"{len(one.failed)} questions failed"] if one.failed else []
            time = one.latencies().get("all")
            rows.append(
                [
                    visible(one.name) + "".join(note(visible(text)) for text in said),
                    bar([("", own.mean)], 1.0),
                    f"{number(own.mean)} [{number(own.low)}, {number(own.high)}]",
                    *(number(float(figure[one.name].mean())) for figure in means.values()),
                    number(time.p50 if time else None, 1),
                ]
            )
        heads = ("system", "", f"{MAIN_MEASURE}, 95 % interval", *means, "search ms, median")
        counts = f"{len(self.dataset.questions):,} questions, {self.costs.passages:,} passages"
        faults = "".join(note(visible(str(fault))) for fault in self.dataset.faults)
        return table(heads, rows, f"{self.dataset.name}: {counts}") + faults


def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return evaluations of one dataset, by several models, as one; the first's costs stand.

    Raises:
        InputError: there are none, they are of different questions, or names stand twice.
    """
    if not evaluations:
        raise InputError("there are no evaluations to join; give some")
    first = evaluations[0]
    evaluations = [first, *(_by_ids_of(first.dataset, one) for one in evaluations[1:])]
    names = [name for one in evaluations for name in one.names]
    if len({one.dataset.digest() for one in evaluations}) > 1 or len(set(names)) < len(names):
        raise InputError(
            f"these evaluations are not of one dataset, or names stand twice: {', '.join(names)}"
        )
    models = [one.costs.model for one in evaluations]
    return Evaluation(
        first.dataset,
        tuple(system for one in evaluations for system in one.systems),
        replace(first.costs, model="; ".join(dict.fromkeys(filter(None, models))) or None),
        {key: text for one in reversed(evaluations) for key, text in one.texts.items()},
        first.missing,
    )


def _by_ids_of(dataset: Dataset, evaluation: Evaluation) -> Evaluation:
    """Return an evaluation with a dataset's ids: two indexes may call the same passages otherwise.

    One of other questions is returned as it is.
    """
    asked, other = dataset.questions, evaluation.dataset.questions
    if dataset.digest() == evaluation.dataset.digest() or (
        [_about(one) for one in asked] != [_about(one) for one in other]
    ):
        return evaluation
    names = {
        theirs: ours
        for one, same in zip(asked, other, strict=True)
        for ours, theirs in zip(one.relevant, same.relevant, strict=True)
    }

    def renamed(keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(names.get(key, key) for key in keys)

    systems = (
        replace(
            system,
            results=tuple(replace(one, ids=renamed(one.ids)) for one in system.results),
        )
        for system in evaluation.systems
    )
    texts = dict(zip(renamed(evaluation.texts), evaluation.texts.values(), strict=True))
    missing = frozenset(renamed(evaluation.missing))
    return replace(
        evaluation, dataset=dataset, systems=tuple(systems), texts=texts, missing=missing
    )


def _about(question: Question) -> tuple[str, str, str, list[int]]:
    grades = list(question.relevant.values())
    return question.id, question.text, question.document, grades
