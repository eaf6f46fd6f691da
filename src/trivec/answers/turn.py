"""What happens to a question between the search and the user, whoever asks the model.

Nothing here waits for anything: :class:`trivec.RagPipeline` and the frameworks'
adapters, synchronous or not, share these steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from trivec.answers.evidence import Judge, measured_thresholds
from trivec.answers.outcome import AnswerReader, Outcome, refusal
from trivec.answers.packing import Packed, TokenCounter, estimated_tokens, pack
from trivec.answers.support import check_claims
from trivec.chat.prompts import LANGUAGES, Language, answer_messages, language_of
from trivec.errors import InputError
from trivec.protocols import Encoder

__all__ = ["NO_STANDARDS", "AnswerOptions", "Draft", "Standards", "Threshold"]

Threshold: TypeAlias = float | Literal["measured"] | None
"""A threshold of your own, ``measured`` for the encoder's own, or None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """What an answer is made from, and what it must hold to.

    Attributes:
        max_passages: the most passages that the model is given.
        max_context_tokens: the most tokens that they take, delimiters included. The default holds
            eight passages of 256 tokens.
        min_evidence: refuse with ``weak_evidence``, without asking the model, where the best
            passage scores less. ``measured`` takes the threshold that was chosen for the encoder
            and refuses nothing where there is none; None refuses nothing.
            ``trivec.answers.calibrate`` finds yours.
        min_support: the least support of a sentence by the passages it cites, likewise; without a
            measured threshold the support is reported and not judged, with None not computed.
        refuse_unsupported: refuse with ``unsupported`` instead of showing an answer of which no
            sentence is supported; such an answer is not streamed before it is checked.
        language: of instructions and refusals; None follows the question.

    Raises:
        InputError: a value that cannot be used.
    """

    max_passages: int = 8
    max_context_tokens: int = 2400
    min_evidence: Threshold = "measured"
    min_support: Threshold = "measured"
    refuse_unsupported: bool = False
    language: Language | None = None

    def __post_init__(self) -> None:
        for name in ("max_passages", "max_context_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)!r}; it must be at least 1")
        for name in ("min_evidence", "min_support"):
            value = getattr(self, name)
            if isinstance(value, str) and value != "measured":
                raise InputError(f"{name}={value!r}; allowed: a number, 'measured', None")
        if self.language not in (None, *LANGUAGES):
            raise InputError(f"language={self.language!r}; allowed: {', '.join(LANGUAGES)}, None")


@dataclass(frozen=True, slots=True)
class Standards:
    """Who judges the passages and the answer of a pipeline or chain, and how strictly.

    Attributes:
        judge: measures evidence and support; None where nothing can, or nothing is to.
        evidence: the least evidence; None takes any.
        support: the least support; None judges none.
        supports_measured: whether the support of claims is measured.
    """

    judge: Judge | None = None
    evidence: float | None = None
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
            _threshold(options.min_support, None if measured is None else measured.support),
            options.min_support is not None,
        )

    def for_one_answer(self) -> Standards:
        """Return the same with a judge that encodes no passage twice."""
        return self if self.judge is None else replace(self, judge=self.judge.remembering())


NO_STANDARDS = Standards()


def _threshold(option: Threshold, measured: float | None) -> float | None:
    return measured if isinstance(option, str) else option


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
        options: AnswerOptions = AnswerOptions(),
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
        return [each.text for each in self.packed]

    @property
    def context_tokens(self) -> int:
        """How many tokens the passages take in the prompt."""
        return sum(each.tokens for each in self.packed)

    def refusal(
        self, evidence: float | None = None, threshold: float | None = None
    ) -> Outcome | None:
        """Return why the model is not to be asked; None where it is.

        Args:
            evidence: how well the best passage bears on the question; None: not measured.
            threshold: the least that is enough; None takes any.
        """
        if not self.packed:
            return refusal("no_hits", self.language)
        if evidence is not None and threshold is not None and not evidence >= threshold:
            return refusal("weak_evidence", self.language)
        return None

    def weighed(self, standards: Standards) -> Outcome | None:
        """Measure the evidence where there is a threshold; return as ``refusal`` does."""
        if standards.judge is None or standards.evidence is None or not self.packed:
            return self.refusal()
        score = standards.judge.evidence(self.question, self.passages)
        return self.refusal(score, standards.evidence)

    def messages(self) -> list[dict[str, str]]:
        """Return what the model is asked."""
        return answer_messages(self.question, self.passages, self.language)

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
