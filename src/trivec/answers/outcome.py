"""What became of a question: an answer with citations that exist, or a refusal with its reason.

Nothing here does input or output: the frameworks' adapters, synchronous or not, feed in what
their model writes and pass on what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivec.answers.support import Claim
from trivec.chat.citations import citations, cited_numbers
from trivec.chat.listening import Listener
from trivec.chat.no_evidence import refuses, shown_until
from trivec.chat.prompts import FAILURES, REFUSALS, Language
from trivec.errors import InputError
from trivec.text import is_blank
from trivec.types import ChatReply, Ending

__all__ = ["AnswerReader", "Outcome", "Reason", "cited_numbers", "refusal"]

Reason: TypeAlias = Literal[
    "no_hits", "weak_evidence", "model_refused", "unsupported", "empty", Ending
]
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
            is not relevant enough, ``model_refused`` the model found no answer in it. Where the
            model said nothing at all: ``length`` it thought up to its limit of tokens,
            ``content_filter`` a filter stopped it, ``tool_calls`` it asked for a tool, ``error``
            it failed, ``empty`` none of these. On an answer that stands: ``unsupported`` says that
            it cites no passage, or none that supports what it says; ``content_filter``,
            ``tool_calls`` and ``error`` that it ended so before it was whole; else None.
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
    text = FAILURES[reason][language] if reason in FAILURES else REFUSALS[language]
    return Outcome(text, refused=True, reason=reason)


class AnswerReader:
    """Reads a model's answer as it is written.

    What is fed comes out again as soon as it is known to be neither a thought nor the beginning of
    a refusal.

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
        self._waits = withhold
        self._listener = Listener()
        self._held: list[str] = []
        self._shown: list[str] = []
        self._ended: Ending | None = None

    def hear(self, reply: ChatReply) -> str:
        """Take the next piece of a reply and how it ends; return what may be shown now."""
        self._ended = reply.ended or ("length" if reply.truncated else self._ended)
        return self.feed(reply.text)

    def feed(self, piece: str) -> str:
        """Take the next piece of the answer; return what may be shown now, perhaps nothing."""
        if fresh := self._listener.feed(piece):
            self._held.append(fresh)
        if self._waits or not self._held:
            return ""
        held = "".join(self._held)
        if not self._shown and is_blank(held):  # a refusal takes the place of what nobody can see
            return ""
        end, self._waits = shown_until(held, is_beginning=not self._shown)
        return self._show(held, end)

    @property
    def text(self) -> str:
        """What the model said so far, without its thoughts."""
        return self._listener.text

    def finish(self) -> tuple[str, Outcome]:
        """Return what is left to show, and the outcome.

        With ``withhold`` that is everything, and whether it is shown is for the caller to decide.
        """
        held = "".join(self._held) + self._listener.finish()
        said = self._listener.text
        cited = cited_numbers(said)
        known = tuple(number for number in cited if 1 <= number <= self._passages)
        if is_blank(said):
            return self._refuse(self._ended or "empty")
        if refuses(said, is_cited=bool(known) and bool(citations(said))):
            return self._refuse("model_refused")
        unknown = tuple(number for number in cited if number not in known)
        reason: Reason | None = None if known else "unsupported"
        if self._ended not in (None, "length"):
            reason = self._ended
        return self._show(held, len(held)), Outcome(said, known, unknown, reason=reason)

    def _refuse(self, reason: Reason) -> tuple[str, Outcome]:
        """End with a refusal, behind what was shown before the model came to it."""
        outcome = refusal(reason, self._language)
        shown = "".join(self._shown)
        if not shown:
            return outcome.answer, outcome
        rest = f"\n\n{outcome.answer}"
        return rest, Outcome(f"{shown}{rest}", refused=True, reason=reason)

    def _show(self, held: str, end: int) -> str:
        shown, rest = held[:end], held[end:]
        self._held = [rest] if rest else []
        if shown:
            self._shown.append(shown)
        return shown
