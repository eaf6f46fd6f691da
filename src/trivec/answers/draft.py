"""An answer in the making: which passages, which messages, what its text turns out to be.

Nothing here waits for anything; ``trivec.answers.turn`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trivec.answers.options import AnswerOptions
from trivec.answers.outcome import AnswerReader, Outcome, refusal
from trivec.answers.packing import Packed, TokenCounter, estimated_tokens, pack
from trivec.answers.standards import NO_STANDARDS, Standards
from trivec.answers.support import check_claims
from trivec.answers.types import Evidence
from trivec.chat.prompts import Language, answer_messages, language_of
from trivec.errors import InputError

__all__ = ["Draft"]

DEFAULT_OPTIONS = AnswerOptions()
UNMEASURED = Evidence()


class Draft:
    """An answer in the making: passages chosen, the model's messages, the checks of its reply.

    Args:
        question: what was asked.
        texts: the passages that were found, best first.
        options: what the answer must hold to.
        count: counts tokens.

    Attributes:
        packed: the passages that the model is given; number 1 comes first.
        language: of instructions and refusals.

    Raises:
        InputError: the question is blank.

    Example:
        >>> draft = Draft("How many?", ["There are three."])
        >>> draft.refusal() is None
        True
        >>> reader = draft.reader()
        >>> shown = reader.feed("Three [1].")
        >>> draft.checked(reader.finish()[1]).citations
        (1,)
    """

    def __init__(
        self,
        question: str,
        texts: Sequence[str],
        options: AnswerOptions = DEFAULT_OPTIONS,
        count: TokenCounter = estimated_tokens,
    ) -> None:
        if not question.strip():
            raise InputError("the question is blank; give it at least one word")
        self.question = question
        self.language: Language = options.language or language_of(question)
        self.packed: tuple[Packed, ...] = pack(
            texts, max_tokens=options.max_context_tokens, count=count, most=options.max_passages
        )
        self._options = options

    @property
    def passages(self) -> list[str]:
        """The texts that the model is given."""
        return [passage.text for passage in self.packed]

    @property
    def context_tokens(self) -> int:
        """How many tokens the passages take in the prompt."""
        return sum(passage.tokens for passage in self.packed)

    def refusal(self, evidence: Evidence = UNMEASURED) -> Outcome | None:
        """Return why the model is not to be asked; None where it is."""
        if not self.packed:
            return refusal("no_hits", self.language)
        return refusal("weak_evidence", self.language) if evidence.is_weak else None

    def messages(self) -> list[dict[str, str]]:
        """Return what the model is asked."""
        return answer_messages(
            self.question,
            self.passages,
            self.language,
            instructions=self._options.instructions,
        )

    def reader(self) -> AnswerReader:
        """Return what reads the model's reply as it is written."""
        return AnswerReader(
            len(self.packed), self.language, withhold=self._options.refuse_unsupported
        )

    def rest(self, unshown: str, checked: Outcome) -> str:
        """Return what the user is still to see of an answer, once it is checked.

        Args:
            unshown: what the reader held back; see ``AnswerReader.finish``.
            checked: what ``checked`` made of it.
        """
        return checked.answer if self._options.refuse_unsupported else unshown

    def checked(self, outcome: Outcome, standards: Standards = NO_STANDARDS) -> Outcome:
        """Return an outcome with its claims checked; a refusal as it is.

        Args:
            outcome: what the reader found.
            standards: who measures the support, and how much is enough; without a judge only the
                cited numbers are checked.
        """
        if outcome.refused:
            return outcome
        judge = standards.judge if standards.supports_measured else None
        claims = check_claims(outcome.answer, self.passages, judge, threshold=standards.support)
        # what nobody judged is not held against it
        unsupported = all(claim.supported is False for claim in claims)
        if unsupported and self._options.refuse_unsupported:
            return replace(refusal("unsupported", self.language), claims=claims)
        if outcome.reason not in (None, "unsupported"):  # how the reply ended says more
            return replace(outcome, claims=claims)
        return replace(outcome, claims=claims, reason="unsupported" if unsupported else None)
