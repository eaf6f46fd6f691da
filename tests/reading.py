"""A fake encoder for the command line, which splits files by a real encoder's tokenizer."""

from __future__ import annotations

from trivec.testing import FakeEncoder

__all__ = ["Reading"]


class Reading(FakeEncoder):
    """The fake, with what the command line takes of a real encoder: a tokenizer."""

    @staticmethod
    def tokenizer(text: str) -> int:
        return len(text)
