"""What a language model replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["ChatReply", "Ending"]

Ending: TypeAlias = Literal["length", "content_filter", "tool_calls", "error"]
"""What ends a model's reply early: its limit of tokens, a filter, a tool it asks for, a failure."""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a language model wrote: a whole answer, or a piece of a streamed one.

    Attributes:
        text: the answer, or what this piece adds to it.
        input_tokens: how many tokens it was asked with; None where the model does not say. Of a
            stream, the last piece alone knows.
        output_tokens: how many tokens it wrote, likewise.
        truncated: True where it stopped at its limit of tokens, in the middle of what it said.
        ended: what else ended it before all was said; None where it ended by itself, or at its
            limit. Of a stream, the last piece alone knows.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    truncated: bool = False
    ended: Ending | None = None
