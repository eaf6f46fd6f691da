"""What became of a question: an answer with citations that exist, or a refusal with its reason.

Nothing here does input or output: the frameworks' adapters, synchronous or not, feed in what
their model writes and pass on what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivec.answers.citations import cited_numbers
from trivec.answers.support import Claim
from trivec.chat.prompts import NO_EVIDENCE, REFUSALS, Language
from trivec.errors import InputError

__all__ = ["AnswerReader", "Outcome", "Reason", "cited_numbers", "refusal"]

Reason: TypeAlias = Literal["no_hits", "weak_evidence", "model_refused", "unsupported"]
"""Why a question has no answer, or what is wrong with the one it has; see :class:`Outcome`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a question ended.

    Attributes:
        answer: the answer, or what the user is told instead.
        citations: the numbers of the passages it cites, in order of first mention, from 1.
        unknown: cited numbers that no passage has.
        refused: True when there is no answer.
        reason: why there is none: ``no_hits`` nothing was found, ``weak_evidence`` what was found
            is not relevant enough, ``model_refused`` the model found no answer in it. On an
            answer that stands: ``unsupported`` says that it cites no passage, or none that
            supports what it says; else None.
        claims: the answer's sentences, each with what supports it, once they were checked.
    """

    answer: str
    citations: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    refused: bool = False
    reason: Reason | None = None
    claims: tuple[Claim, ...] = ()


def refusal(reason: Reason, language: Language) -> Outcome:
    """Return the outcome of a question that was not answered."""
    return Outcome(REFUSALS[language], refused=True, reason=reason)


class AnswerReader:
    """Reads a model's answer as it is written.

    What is fed comes out again as soon as it cannot be the beginning of a refusal any more.

    Args:
        passages: how many passages the model was given.
        language: of the refusal.
        withhold: show nothing before the end, for answers that are checked first.

    Example:
        >>> reader = AnswerReader(passages=2, language="en")
        >>> shown = [reader.feed(piece) for piece in ("It has ", "three [2].")]
        >>> rest, outcome = reader.finish()
        >>> outcome.citations
        (2,)
    """

    def __init__(self, passages: int, language: Language, *, withhold: bool = False) -> None:
        if passages < 1:
            raise InputError(f"passages={passages}; without any, refuse before asking a model")
        self._passages = passages
        self._language = language
        self._withhold = withhold
        self._text = ""
        self._shown = 0

    def feed(self, piece: str) -> str:
        """Take the next piece of the answer; return what may be shown now, perhaps nothing."""
        self._text += piece
        if self._withhold:
            return ""
        begun = self._text.lstrip()
        if not self._shown and NO_EVIDENCE.startswith(begun[: len(NO_EVIDENCE)]):
            return ""
        return self._release()

    @property
    def text(self) -> str:
        """What the model wrote so far."""
        return self._text

    def finish(self) -> tuple[str, Outcome]:
        """Return what is left to show, and the outcome.

        With ``withhold`` that is everything, and whether it is shown is for the caller to decide.
        """
        if not self._shown and self._is_refusal():
            outcome = refusal("model_refused", self._language)
            return outcome.answer, outcome
        rest = self._release()
        cited = cited_numbers(self._text)
        known = tuple(number for number in cited if 1 <= number <= self._passages)
        unknown = tuple(number for number in cited if number not in known)
        reason: Reason | None = None if known else "unsupported"
        return rest, Outcome(self._text, known, unknown, reason=reason)

    def _is_refusal(self) -> bool:
        said = self._text.strip()
        return not said or said.startswith(NO_EVIDENCE)

    def _release(self) -> str:
        fresh = self._text[self._shown :]
        self._shown = len(self._text)
        return fresh
