"""From labelled questions to the threshold that refuses as many of them as is wished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trivec._runtime.checks import shown
from trivec._runtime.typed import checked
from trivec.answers.pipeline import RagPipeline
from trivec.errors import InputError

__all__ = ["Calibration", "LabelledQuestion", "calibrate", "choose_threshold"]


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question, and whether the index holds its answer."""

    text: str
    answerable: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold of evidence, and what it does to the questions that it was chosen on.

    Attributes:
        threshold: for ``RagOptions(min_evidence=...)``.
        refused_answerable: share of the answerable questions that it refuses.
        refused_unanswerable: share of the unanswerable questions that it refuses.
        precision: share of answerable questions among those that it lets pass; 1 where none pass.
        answerable: how many answerable questions there were.
        unanswerable: how many others.
    """

    threshold: float
    refused_answerable: float
    refused_unanswerable: float
    precision: float
    answerable: int
    unanswerable: int


@checked
def calibrate(
    pipeline: RagPipeline,
    questions: Iterable[LabelledQuestion],
    *,
    precision: float | None = None,
    refused_answerable: float | None = None,
    refused_unanswerable: float | None = None,
) -> Calibration:
    """Find the threshold of evidence for an index, its model and its kind of questions.

    Each question is searched for as the pipeline would, and no chat model is asked. Some hundred
    questions of each kind tell a rate to a few hundredths; take others to see what it does to
    questions that it was not chosen on.

    Args:
        pipeline: what the threshold is for; its chat may be None.
        questions: labelled ones, both kinds.
        precision: the least share of answerable questions among those that pass.
        refused_answerable: the largest share of answerable questions refused.
        refused_unanswerable: the least share of unanswerable questions refused.

    Raises:
        InputError: not exactly one goal is given, it cannot be reached, or a kind is missing.

    Example:
        >>> asked = [LabelledQuestion("Who wrote it?", answerable=True), ...]  # doctest: +SKIP
        >>> found = calibrate(rag, asked, refused_answerable=0.05)  # doctest: +SKIP
        >>> options = RagOptions(min_evidence=found.threshold)  # doctest: +SKIP
    """
    scores: list[float] = []
    labels: list[bool] = []
    for question in questions:
        if not isinstance(question, LabelledQuestion):
            raise InputError(f"questions holds {shown(question)}; allowed: LabelledQuestion")
        score = pipeline.find(question.text).evidence.score
        scores.append(-np.inf if score is None else score)  # nothing found: refused anyway
        labels.append(question.answerable)
    return choose_threshold(
        scores,
        labels,
        precision=precision,
        refused_answerable=refused_answerable,
        refused_unanswerable=refused_unanswerable,
    )


def choose_threshold(
    scores: Sequence[float],
    answerable: Sequence[bool],
    *,
    precision: float | None = None,
    refused_answerable: float | None = None,
    refused_unanswerable: float | None = None,
) -> Calibration:
    """Return the threshold for scores that were measured already; see :func:`calibrate`.

    With ``refused_answerable`` it is the highest that keeps to it, with the others the lowest. It
    lies halfway between two scores, so that equal ones are treated alike on any machine.
    """
    goals = (precision, refused_answerable, refused_unanswerable)
    given = [goal for goal in goals if goal is not None]
    if len(given) != 1 or not 0 <= given[0] <= 1:
        raise InputError(
            f"{precision=}, {refused_answerable=}, {refused_unanswerable=}; "
            "give exactly one of them, between 0 and 1"
        )
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(answerable, dtype=bool)
    if labels.shape != values.shape or np.isnan(values).any():
        raise InputError(f"{values.size} scores and {labels.size} labels, or NaN among the scores")
    good, bad = np.sort(values[labels]), np.sort(values[~labels])
    if not good.size or not bad.size:
        raise InputError(
            f"{good.size} answerable and {bad.size} unanswerable questions; give some of both"
        )
    thresholds = _candidates(values)
    calibrations = [_calibration(threshold, good, bad) for threshold in thresholds]
    if refused_answerable is not None:
        fitting = [one for one in calibrations if one.refused_answerable <= refused_answerable]
        if not fitting:
            raise InputError(
                f"refused_answerable={refused_answerable} cannot be reached: "
                f"{calibrations[0].refused_answerable:.3f} of the answerable questions find nothing"
            )
        return fitting[-1]
    fitting = [
        one
        for one in calibrations
        if (precision is not None and one.precision >= precision)
        or (refused_unanswerable is not None and one.refused_unanswerable >= refused_unanswerable)
    ]
    if not fitting:
        best = max(one.precision for one in calibrations)
        raise InputError(f"precision={precision} cannot be reached; the highest is {best:.3f}")
    return fitting[0]


def _candidates(values: np.ndarray) -> list[float]:
    """Return, in rising order, a threshold below all scores, between each two, and above all."""
    distinct = np.unique(values[np.isfinite(values)])
    if not distinct.size:
        raise InputError("no question found anything; there is nothing to choose by")
    between = (distinct[1:] + distinct[:-1]) / 2
    return [float(distinct[0]), *between.tolist(), float(np.nextafter(distinct[-1], np.inf))]


def _calibration(threshold: float, good: np.ndarray, bad: np.ndarray) -> Calibration:
    refused_good = int(np.searchsorted(good, threshold, side="left"))
    refused_bad = int(np.searchsorted(bad, threshold, side="left"))
    passed_good, passed_bad = good.size - refused_good, bad.size - refused_bad
    passed = passed_good + passed_bad
    return Calibration(
        threshold=threshold,
        refused_answerable=refused_good / good.size,
        refused_unanswerable=refused_bad / bad.size,
        precision=passed_good / passed if passed else 1.0,
        answerable=int(good.size),
        unanswerable=int(bad.size),
    )
