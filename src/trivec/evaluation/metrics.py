"""Figures for every question, by ir-measures; what finds nothing scores 0."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec.errors import InputError, MissingDependencyError
from trivec.evaluation.dataset import Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAIN_MEASURE", "MEASURES", "figures"]

MEASURES: tuple[str, ...] = ("nDCG@10", "R@1", "R@10", "RR@10")
"""What is reported, as ir-measures names it."""

MAIN_MEASURE = "nDCG@10"
"""What systems are compared by, unless another is named."""


def figures(
    questions: Sequence[Question],
    ranked: Mapping[str, Sequence[str]],
    measures: Sequence[str] = MEASURES,
) -> dict[str, NDArray[np.float64]]:
    """Return what each question scores.

    Args:
        questions: with their relevant passages.
        ranked: ids of passages by question id, best first; their order alone counts. A question
            that is absent found nothing.
        measures: names of ir-measures, with cutoffs: ``nDCG@10``.

    Returns:
        By measure an array ``(questions,)`` float64, in the order of the questions.

    Raises:
        InputError: a measure that ir-measures does not know.
        MissingDependencyError: the extra ``evaluation`` is not installed.
    """
    wanted = _parsed(measures)
    patterns = [_pattern(one, ranked.get(one.id, ())) for one in questions]
    first = {pattern: str(at) for at, pattern in reversed(list(enumerate(patterns)))}
    judgements = {key: dict(questions[int(key)].relevant) for key in first.values()}
    run = {key: _by_rank(ranked.get(questions[int(key)].id, ())) for key in first.values()}
    scored: dict[str, dict[str, float]] = {name: {} for name in measures}
    names = dict(zip(wanted, measures, strict=True))
    if judgements:
        import ir_measures

        for metric in ir_measures.iter_calc(wanted, judgements, run):
            scored[names[metric.measure]][metric.query_id] = float(metric.value)
    return {
        name: np.array([values.get(first[one], 0.0) for one in patterns], dtype=np.float64)
        for name, values in scored.items()
    }


def _pattern(question: Question, ids: Sequence[str]) -> Hashable:
    """Return all that a figure depends on: judgements by rank, and all of them.

    Most questions of a dataset share a few patterns, such as one relevant passage at rank 2. Each
    is scored once.
    """
    judged = question.relevant
    return tuple(map(judged.get, dict.fromkeys(ids))), tuple(sorted(judged.values()))


def _by_rank(ids: Sequence[str]) -> dict[str, float]:
    """Return a score for each id that says its rank; one that several sources have, its first."""
    return {key: float(-rank) for rank, key in enumerate(dict.fromkeys(ids))}


def _parsed(measures: Sequence[str]) -> list[Any]:
    try:
        import ir_measures
    except ModuleNotFoundError as err:
        raise MissingDependencyError("ir_measures", "evaluation") from err
    try:
        return [ir_measures.parse_measure(name) for name in measures]
    except (ValueError, NameError) as err:
        raise InputError(
            f"measures={list(measures)}; give names of ir-measures, such as {', '.join(MEASURES)}"
        ) from err
