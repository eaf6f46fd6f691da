"""Where systems differ: kinds of questions, kinds of failures, what arms share, when to refuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from trivec.arms import arm_names
from trivec.evaluation.metrics import MAIN_MEASURE
from trivec.evaluation.results import Evaluation

__all__ = [
    "FailureKind",
    "Overlap",
    "Separation",
    "Slice",
    "failures",
    "overlaps",
    "separation",
    "slices",
]

FailureKind: TypeAlias = Literal[
    "not in the index",
    "found, but ranked low",
    "another language",
    "no lexical match",
    "search failed",
    "other",
]
"""Why a question's passage is not among the first."""

FIRST = 10
"""Ranks within which a passage counts as found."""

LITTLE, MUCH = 0.25, 0.6
"""Shares of a question's words, each counted by how rare it is, that its passage has."""

FEWEST = 5
"""A slice with fewer questions says nothing."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the questions, and what each system reaches on it.

    Attributes:
        kind: what the questions are divided by.
        value: which part this is.
        questions: how many.
        means: of the measure, by system.
    """

    kind: str
    value: str
    questions: int
    means: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two arms' finds within the first ten agree, in numbers of questions.

    Attributes:
        first: an arm.
        second: another.
        both: found by both.
        only_first: by the first alone.
        only_second: by the second alone.
        neither: by none of them.
    """

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int


@dataclass(frozen=True, slots=True)
class Separation:
    """What a threshold on the best passage's score would refuse.

    Attributes:
        right: best scores of questions whose first passage is relevant.
        wrong: of the others.
        chance: how often a right one scores above a wrong one: 1 is always, 0.5 is chance.
    """

    right: tuple[float, ...]
    wrong: tuple[float, ...]
    chance: float


def slices(evaluation: Evaluation, measure: str = MAIN_MEASURE) -> list[Slice]:
    """Divide the questions by language, length and words shared with the passage.

    A division into one part alone, or into parts of fewer than 5 questions, is left out.
    """
    figures = evaluation.figures(measure)
    found = []
    for kind, values in _divisions(evaluation).items():
        counts = Counter(values)
        parts = [value for value in dict.fromkeys(values) if counts[value] >= FEWEST]
        if len(counts) < 2:
            continue
        for value in sorted(parts):
            chosen = np.array([one == value for one in values])
            means = {name: float(scores[chosen].mean()) for name, scores in figures.items()}
            found.append(Slice(kind, value, counts[value], means))
    return found


def _divisions(evaluation: Evaluation) -> dict[str, list[str]]:
    lengths = np.array([len(one.text) for one in evaluation.dataset.questions])
    short, long = np.percentile(lengths, [100 / 3, 200 / 3])
    known = evaluation.features
    return {
        "language of the question": [str(one.language) for one in known],
        "language of the passage": ["another" if one.crosses else "the same" for one in known],
        "length of the question": [
            "1 short" if length <= short else "2 middle" if length <= long else "3 long"
            for length in lengths
        ],
        "words shared with the passage": [
            "1 few" if one.shared < LITTLE else "2 some" if one.shared < MUCH else "3 most"
            for one in known
        ],
    }


def failures(evaluation: Evaluation, name: str) -> dict[FailureKind, list[int]]:
    """Return the questions that a system fails, by why; their positions in the dataset.

    A question fails that has no relevant passage among the first 10.

    Args:
        evaluation: what was found.
        name: of a system.

    Raises:
        InputError: there is no such system.
    """
    ranks, near = evaluation.first_relevant(name), _found_by_any(evaluation)
    kinds: dict[FailureKind, list[int]] = {}
    for at, (question, result) in enumerate(
        zip(evaluation.dataset.questions, evaluation.system(name).results, strict=True)
    ):
        rank = ranks[at]
        if rank is not None and rank < FIRST:
            continue
        kind: FailureKind = "other"
        if result.error:
            kind = "search failed"
        elif evaluation.missing.issuperset(question.relevant):
            kind = "not in the index"
        elif rank is not None or near[at]:
            kind = "found, but ranked low"
        elif evaluation.features[at].crosses:
            kind = "another language"
        elif evaluation.features[at].shared < LITTLE:
            kind = "no lexical match"
        kinds.setdefault(kind, []).append(at)
    return kinds


def _found_by_any(evaluation: Evaluation) -> list[bool]:
    """Say of each question whether some single arm ranks its passage at all."""
    found = [False] * len(evaluation.dataset.questions)
    for name in _arms(evaluation):
        found = [
            before or rank is not None
            for before, rank in zip(found, evaluation.first_relevant(name), strict=True)
        ]
    return found


def _arms(evaluation: Evaluation) -> list[str]:
    """Return the systems that are a single arm."""
    return [one.name for one in evaluation.systems if str(one.system) in arm_names()]


def overlaps(evaluation: Evaluation) -> list[Overlap]:
    """Return how the single arms agree, in pairs."""
    hits = {
        name: np.array([rank is not None and rank < FIRST for rank in ranks])
        for name in _arms(evaluation)
        for ranks in [evaluation.first_relevant(name)]
    }
    names = list(hits)
    return [
        Overlap(
            first,
            second,
            int((hits[first] & hits[second]).sum()),
            int((hits[first] & ~hits[second]).sum()),
            int((~hits[first] & hits[second]).sum()),
            int((~hits[first] & ~hits[second]).sum()),
        )
        for at, first in enumerate(names)
        for second in names[at + 1 :]
    ]


def separation(evaluation: Evaluation, name: str) -> Separation:
    """Return how well a system's best score tells right from wrong, for a threshold on it.

    Scores of one arm, of ColBERT and of a reranker can bear a threshold. Fused scores cannot: what
    they mean changes with the question.

    Raises:
        InputError: there is no such system.
    """
    right: list[float] = []
    wrong: list[float] = []
    for rank, result in zip(
        evaluation.first_relevant(name), evaluation.system(name).results, strict=True
    ):
        if result.scores:
            (right if rank == 0 else wrong).append(result.scores[0])
    return Separation(tuple(right), tuple(wrong), _separation(right, wrong))


def _separation(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Return the area under the ROC curve, by ranks; ties count half."""
    if not right or not wrong:
        return 1.0 if right else 0.5
    values = np.array([*right, *wrong])
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[positions]
    above = ranks[: len(right)].sum() - len(right) * (len(right) + 1) / 2
    return float(above / (len(right) * len(wrong)))
