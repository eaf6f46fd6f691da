"""Whether a tuned model is better than its base, arm by arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from trivec.evaluation import Estimate, compared, units_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Judgement", "TuningWord", "judged"]

TuningWord: TypeAlias = Literal["WIN", "MARGINAL", "REGRESSION"]
"""WIN where the whole interval is above 0, REGRESSION where it is below, else MARGINAL."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What tuning did to an arm on the development examples.

    Attributes:
        arm: its name.
        base: mean nDCG@10 before.
        tuned: mean nDCG@10 after.
        gain: the difference, with its 95 % interval, drawn by document.
        word: the verdict.
    """

    arm: str
    base: float
    tuned: float
    gain: Estimate
    word: TuningWord

    def __str__(self) -> str:
        gain = f"{self.gain.mean:+.4f} [{self.gain.low:+.4f}, {self.gain.high:+.4f}]"
        return f"{self.word}: {self.arm} {self.base:.4f} -> {self.tuned:.4f}, {gain} nDCG@10"


def judged(
    base: Mapping[str, NDArray[np.float64]],
    tuned: Mapping[str, NDArray[np.float64]],
    documents: Sequence[str],
) -> tuple[Judgement, ...]:
    """Compare two models on the same queries.

    Args:
        base: nDCG@10 of every query by arm ``(queries,)``.
        tuned: the same of the tuned model.
        documents: of each query; those of one document are drawn together.
    """
    units, _ = units_of(documents)
    found = []
    for arm, before in base.items():
        gain = compared(tuned[arm], before, units).delta
        found.append(
            Judgement(arm, float(before.mean()), float(tuned[arm].mean()), gain, _word(gain))
        )
    return tuple(found)


def _word(gain: Estimate) -> TuningWord:
    if gain.low > 0:
        return "WIN"
    return "REGRESSION" if gain.high < 0 else "MARGINAL"
