"""Whether one way is better than another, in a word, with what it gains and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from trivec.errors import InputError
from trivec.evaluation.costs import Costs
from trivec.evaluation.metrics import MAIN_MEASURE
from trivec.evaluation.results import Evaluation, joined
from trivec.evaluation.statistics import Comparison, Estimate

__all__ = ["ComparisonVerdict", "Cost", "Word", "judged_by", "verdict"]

Word: TypeAlias = Literal["WIN", "TIE", "LOSS"]
"""WIN where the whole interval is above 0, LOSS where it is below, else TIE."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one side takes; None where it was not measured.

    Attributes:
        search_ms: of half of the searches, at most.
        encode_ms: median milliseconds of encoding a query alone.
        index_bytes: of the index's folder.
    """

    search_ms: float | None
    encode_ms: float | None
    index_bytes: int | None


@dataclass(frozen=True, slots=True)
class ComparisonVerdict:
    """What a comparison comes to.

    Attributes:
        word: WIN, TIE or LOSS of the first.
        measure: what was compared.
        comparison: the difference, its interval, and wins and losses.
        costs: of the first and of the second.
    """

    word: Word
    measure: str
    comparison: Comparison
    costs: tuple[Cost, Cost]

    def __str__(self) -> str:
        one = self.comparison
        delta = f"{one.delta.mean:+.4f} [{one.delta.low:+.4f}, {one.delta.high:+.4f}]"
        parts = [
            f"{self.word}: {one.first} against {one.second}: {delta} {self.measure}, p {one.p:.4f}",
            f"{one.wins} won, {one.ties} tied, {one.losses} lost",
        ]
        first, second = self.costs
        for words, unit, mine, theirs in (
            ("search", "ms", first.search_ms, second.search_ms),
            ("encoding", "ms", first.encode_ms, second.encode_ms),
            ("index", "MB", _megabytes(first), _megabytes(second)),
        ):
            if mine is not None and theirs is not None:
                parts.append(f"{words} {mine:.1f} {unit} against {theirs:.1f} {unit}")
        return "; ".join(parts)

    def to_json(self) -> Mapping[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "text": str(self)}


def judged_by(interval: Estimate) -> Word:
    """Return the word for a difference: what touches 0 is a TIE."""
    if interval.low > 0:
        return "WIN"
    return "LOSS" if interval.high < 0 else "TIE"


def verdict(
    first: Evaluation, second: Evaluation, measure: str = MAIN_MEASURE
) -> ComparisonVerdict:
    """Compare two evaluations of one dataset, with one system each.

    Args:
        first: of what may be better.
        second: of what it is compared with.
        measure: a name of ir-measures.

    Raises:
        InputError: they are of different questions, have the same name, or several systems.

    Example:
        >>> print(verdict(tuned, untuned))  # doctest: +SKIP
        WIN: tuned: hybrid against hybrid: +0.0123 [+0.0040, +0.0210] nDCG@10, p 0.0012; ...
    """
    if len(first.systems) != 1 or len(second.systems) != 1:
        counts = f"{len(first.systems)} and {len(second.systems)}"
        raise InputError(f"{counts} systems were run; compare evaluations of one system each")
    (comparison,) = joined([first, second]).comparisons(measure)
    costs = (_cost(first, first.costs), _cost(second, second.costs))
    return ComparisonVerdict(judged_by(comparison.delta), measure, comparison, costs)


def _cost(evaluation: Evaluation, costs: Costs) -> Cost:
    time = evaluation.systems[0].latencies().get("all")
    return Cost(None if time is None else time.p50, costs.encode_alone_ms, costs.index_bytes)


def _megabytes(cost: Cost) -> float | None:
    return None if cost.index_bytes is None else cost.index_bytes / 1e6
