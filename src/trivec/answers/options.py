"""What an answer is made from, and what it must hold to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivec._runtime.checks import check_choice, check_least, shown
from trivec._runtime.typed import check_fields
from trivec.chat.prompts import Language
from trivec.errors import InputError

__all__ = ["AnswerOptions", "Threshold"]

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
        instructions: what else the model is told about its answer (tone, length, form), after the
            instructions that ask for citations.

    Raises:
        InputError: a value that cannot be used.
    """

    max_passages: int = 8
    max_context_tokens: int = 2400
    min_evidence: Threshold = "measured"
    min_support: Threshold = "measured"
    refuse_unsupported: bool = False
    language: Language | None = None
    instructions: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("max_passages", self.max_passages, 1)
        check_least("max_context_tokens", self.max_context_tokens, 1)
        for name in ("min_evidence", "min_support"):
            value = getattr(self, name)
            if isinstance(value, str) and value != "measured":
                raise InputError(f"{name}={shown(value)}; allowed: a number, 'measured', None")
        if not isinstance(self.instructions, str):
            raise InputError(f"instructions={shown(self.instructions)}; it must be a text")
        check_choice("language", self.language, Language, or_none=True)
