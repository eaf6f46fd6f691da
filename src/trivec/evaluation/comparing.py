"""Whether one way is better than another, in a word, with what it gains and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.evaluation.building import indexed
from trivec.evaluation.costs import Costs
from trivec.evaluation.dataset import Dataset
from trivec.evaluation.metrics import MAIN_MEASURE
from trivec.evaluation.results import Evaluation, joined
from trivec.evaluation.running import EvaluationOptions, evaluate
from trivec.evaluation.statistics import Comparison, Estimate
from trivec.evaluation.systems import System
from trivec.index import HybridIndex
from trivec.protocols import Encoder

__all__ = ["ComparisonVerdict", "Cost", "Word", "compare", "judged_by", "verdict"]

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


@checked
def compare(
    dataset: Dataset,
    first: Encoder | HybridIndex,
    second: Encoder | HybridIndex,
    system: System | None = None,
    *,
    names: tuple[str, str] = ("first", "second"),
    measure: str = MAIN_MEASURE,
    folder: str | Path | None = None,
) -> ComparisonVerdict:
    """Say whether one model or index is better than another on a dataset, and at what cost.

    Args:
        dataset: questions, and what answers them; passages too where a model is given.
        first: what may be better: a model, for an index of the dataset's passages, or an index.
        second: what it is compared with, likewise.
        system: how both are searched; None is the default search.
        names: what the verdict calls them.
        measure: a name of ir-measures.
        folder: where indexes and results are kept, so that an interrupted comparison goes on.
            None keeps nothing.

    Returns:
        WIN, TIE or LOSS of the first, the difference with its interval, and both costs.

    Raises:
        InputError: the names are the same, or a model was given without passages.

    Example:
        >>> judged = compare(dataset, tuned, base, names=("tuned", "base"))  # doctest: +SKIP
        >>> judged.word  # doctest: +SKIP
        'WIN'
    """
    if names[0] == names[1]:
        raise InputError(f"names={names!r}; give two that differ, so that the verdict names both")
    with TemporaryDirectory() if folder is None else nullcontext(str(folder)) as place:
        one, other = (
            _evaluated(dataset, side, system or System(), name, user_path("folder", place))
            for side, name in zip((first, second), names, strict=True)
        )
    return verdict(one, other, measure)


def _evaluated(
    dataset: Dataset, side: Encoder | HybridIndex, system: System, name: str, folder: Path
) -> Evaluation:
    key = sha256(name.encode()).hexdigest()[:8]
    results = folder / "results" / f"{dataset.digest()}-{key}"
    options = EvaluationOptions(folder=results, prefix=f"{name}: ")
    if isinstance(side, HybridIndex):
        return evaluate(dataset, side, [system], options)
    with indexed(dataset, side, folder / "indexes") as index:
        return evaluate(dataset, index, [system], options)


def _cost(evaluation: Evaluation, costs: Costs) -> Cost:
    time = evaluation.systems[0].latencies().get("all")
    return Cost(None if time is None else time.p50, costs.encode_alone_ms, costs.index_bytes)


def _megabytes(cost: Cost) -> float | None:
    return None if cost.index_bytes is None else cost.index_bytes / 1e6
