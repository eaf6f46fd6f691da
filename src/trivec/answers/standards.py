"""Who judges the passages and the answer, and how strictly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trivec.answers.evidence import Judge, is_crossed, measured_thresholds
from trivec.answers.options import AnswerOptions, Threshold
from trivec.errors import InputError
from trivec.protocols import Encoder

__all__ = ["NO_STANDARDS", "Standards"]


@dataclass(frozen=True, slots=True)
class Standards:
    """Who judges the passages and the answer of a pipeline or chain, and how strictly.

    Attributes:
        judge: measures evidence and support; None where nothing can, or nothing is to.
        evidence: the least evidence; None takes any.
        crossed: the same where the passages are in another language than the question.
        lead: the least lead there; None where it does not decide.
        support: the least support; None judges none.
        supports_measured: whether the support of claims is measured.
    """

    judge: Judge | None = None
    evidence: float | None = None
    crossed: float | None = None
    lead: float | None = None
    support: float | None = None
    supports_measured: bool = False

    @classmethod
    def of(cls, options: AnswerOptions, encoder: Encoder | None) -> Standards:
        """Return what the options say for an encoder.

        Raises:
            InputError: a threshold is given, and no encoder with a ColBERT head to measure with.
        """
        given = [
            name
            for name in ("min_evidence", "min_support")
            if isinstance(getattr(options, name), (int, float))
        ]
        if encoder is None or "colbert" not in encoder.info.heads:
            if given:
                raise InputError(
                    f"{' and '.join(given)}: there is no encoder with a ColBERT head to measure "
                    "with; give one, or set None"
                )
            return cls()
        measured = measured_thresholds(encoder.info)
        return cls(
            Judge(encoder),
            _threshold(options.min_evidence, None if measured is None else measured.evidence),
            _threshold(options.min_evidence, None if measured is None else measured.crossed),
            None if measured is None or options.min_evidence != "measured" else measured.lead,
            _threshold(options.min_support, None if measured is None else measured.support),
            options.min_support is not None,
        )

    def least_evidence(self, question: str, passages: Sequence[str]) -> float | None:
        """Return the least evidence that a question's passages must give; None takes any."""
        if self.evidence == self.crossed:
            return self.evidence
        return self.crossed if is_crossed(question, passages) else self.evidence

    def least_lead(self, question: str, passages: Sequence[str]) -> float | None:
        """Return the least lead of the best passage; None where the lead does not decide."""
        return self.lead if self.lead is not None and is_crossed(question, passages) else None

    def for_one_answer(self) -> Standards:
        """Return the same with a judge that encodes no passage twice."""
        return self if self.judge is None else replace(self, judge=self.judge.remembering())


NO_STANDARDS = Standards()


def _threshold(option: Threshold, measured: float | None) -> float | None:
    return measured if isinstance(option, str) else option
