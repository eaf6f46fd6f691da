"""How much of a difference is chance: intervals and tests that draw documents, not questions.

Questions about one document are alike: what finds one often finds the others. Drawing questions
one by one takes them for independent, and makes intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from trivec._runtime.typed import checked
from trivec.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Comparison",
    "DrawnBy",
    "Estimate",
    "compare_all",
    "compared",
    "estimate_all",
    "estimated",
    "holm",
    "units_of",
]

DrawnBy: TypeAlias = Literal["document", "question"]
"""What is drawn together where chance is estimated."""

FEWEST_DOCUMENTS = 10
"""With fewer, questions are drawn: a handful of documents tells nothing of others."""

DRAWS = 10_000
LEVEL = 0.95
EXACT = 13
"""Up to so many units every assignment of signs is tried; it is less than ``DRAWS``."""
AT_ONCE = 1000
TIE = 1e-12
"""Differences of figures below this are none."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions, and its 95 % interval.

    Attributes:
        mean: over all questions.
        low: lower end of the interval.
        high: upper end.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same questions; a positive difference is the first one's gain.

    Attributes:
        first: name of a system.
        second: what it is compared with.
        delta: mean difference, with its 95 % interval.
        p: how often chance alone differs as much: a paired randomisation test.
        corrected: ``p`` by Holm's method, for all comparisons that were made together.
        wins: questions on which the first scores more.
        ties: on which both score the same.
        losses: on which the second scores more.
    """

    first: str
    second: str
    delta: Estimate
    p: float
    corrected: float
    wins: int
    ties: int
    losses: int

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.corrected < 1 - LEVEL

    def turned(self) -> Comparison:
        """Return the same, seen from the other side."""
        delta = Estimate(-self.delta.mean, -self.delta.high, -self.delta.low)
        chances = (self.p, self.corrected)
        return Comparison(
            self.second, self.first, delta, *chances, self.losses, self.ties, self.wins
        )


@checked
def units_of(documents: Sequence[str]) -> tuple[NDArray[np.intp], DrawnBy]:
    """Return which unit each question is drawn with, and what a unit is.

    Args:
        documents: of each question.

    Returns:
        ``(questions,)`` numbers of units, by document; by question where there are fewer than 10
        documents.
    """
    _, units = np.unique(np.asarray(documents, dtype=str), return_inverse=True)
    if len(units) and units.max() + 1 >= FEWEST_DOCUMENTS:
        return units.astype(np.intp).reshape(-1), "document"
    return np.arange(len(units), dtype=np.intp), "question"


def estimated(values: NDArray[np.float64], units: NDArray[np.intp], *, seed: int = 0) -> Estimate:
    """Return a mean and its interval: percentiles of 10,000 bootstrap draws of units.

    Args:
        values: ``(questions,)``.
        units: ``(questions,)``, from ``units_of``.
        seed: of the draws.

    Raises:
        InputError: there are no questions.
    """
    return _estimates(values[:, None], units, seed)[0]


def estimate_all(
    values: Mapping[str, NDArray[np.float64]], units: NDArray[np.intp], *, seed: int = 0
) -> dict[str, Estimate]:
    """Return the mean of each system and its interval, from the same draws for all."""
    columns = np.stack(list(values.values()), axis=1)
    return dict(zip(values, _estimates(columns, units, seed), strict=True))


def compared(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    units: NDArray[np.intp],
    *,
    names: tuple[str, str] = ("first", "second"),
    seed: int = 0,
) -> Comparison:
    """Compare two systems; with one comparison Holm's correction changes nothing."""
    by_name = {names[0]: first, names[1]: second}
    return compare_all(by_name, units, pairs=[names], seed=seed)[0]


def compare_all(
    values: Mapping[str, NDArray[np.float64]],
    units: NDArray[np.intp],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    seed: int = 0,
) -> list[Comparison]:
    """Compare systems in pairs, corrected for how many comparisons there are.

    Args:
        values: by system ``(questions,)``, in the same order.
        units: ``(questions,)``, from ``units_of``.
        pairs: of systems; None compares each with each.
        seed: of the draws.

    Returns:
        A comparison for each pair.
    """
    pairs = list(combinations(values, 2)) if pairs is None else list(pairs)
    if not pairs:
        return []
    differences = np.stack([values[first] - values[second] for first, second in pairs], axis=1)
    deltas = _estimates(differences, units, seed)
    chances = _randomised(differences, units, seed)
    wins = (differences > TIE).sum(axis=0)
    losses = (differences < -TIE).sum(axis=0)
    return [
        Comparison(
            *pairs[at],
            deltas[at],
            chances[at],
            corrected,
            int(wins[at]),
            len(differences) - int(wins[at]) - int(losses[at]),
            int(losses[at]),
        )
        for at, corrected in enumerate(holm(chances))
    ]


def holm(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down method (1979), in the order given."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected = [0.0] * len(chances)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[at]))
        corrected[at] = highest
    return corrected


def _sums(columns: NDArray[np.float64], units: NDArray[np.intp]) -> NDArray[np.float64]:
    """Add up the rows of each unit."""
    sums = np.zeros((int(units.max()) + 1, columns.shape[1]))
    np.add.at(sums, units, columns)
    return sums


def _estimates(columns: NDArray[np.float64], units: NDArray[np.intp], seed: int) -> list[Estimate]:
    if not len(columns):
        raise InputError("there are no questions to estimate from; give some")
    sums, sizes = _sums(columns, units), np.bincount(units).astype(np.float64)
    random = np.random.default_rng(seed)
    count = len(sizes)
    means = []
    for _ in range(0, DRAWS, AT_ONCE):
        drawn = random.multinomial(count, np.full(count, 1 / count), size=AT_ONCE)
        means.append(drawn @ sums / (drawn @ sizes)[:, None])
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail], axis=0)
    return [
        Estimate(float(mean), float(least), float(most))
        for mean, least, most in zip(columns.mean(axis=0), low, high, strict=True)
    ]


def _randomised(
    differences: NDArray[np.float64], units: NDArray[np.intp], seed: int
) -> list[float]:
    """Return two-sided p-values: how often swapping the systems, unit by unit, differs as much."""
    sums = _sums(differences, units)
    least = np.abs(sums.sum(axis=0)) - TIE * len(differences)
    count = len(sums)
    if count <= EXACT:
        every = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        reached = np.abs((1.0 - 2.0 * every) @ sums) >= least
        return [float(share) for share in reached.mean(axis=0)]
    random = np.random.default_rng(seed)
    reaching = np.zeros(sums.shape[1])
    for _ in range(0, DRAWS, AT_ONCE):
        signs = random.integers(0, 2, size=(AT_ONCE, count)) * 2.0 - 1.0
        reaching += (np.abs(signs @ sums) >= least).sum(axis=0)
    return [float(share) for share in (1 + reaching) / (1 + DRAWS)]
