"""What every version of the rules offers, and which there are."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

__all__ = ["RULES", "Splitter", "UserWord", "WholeWord", "normalize"]

RULES = (1, 2)
"""The versions, oldest first."""

UserWord: TypeAlias = str | tuple[str, int]
"""A word that must stay whole, alone or with a jieba frequency."""


class WholeWord(NamedTuple):
    """A word as it counts, and as the text writes it."""

    word: str
    written: str


class Splitter(Protocol):
    """Splits texts into words by one version of the rules."""

    def normalize(self, text: str) -> str:
        """Return the form of a text that is split: two texts of one form have the same words."""
        ...

    def passage(self, text: str) -> tuple[list[str], int]:
        """Return all words of a passage, and its length without parts and pairs."""
        ...

    def query(self, text: str) -> list[str]:
        """Return all words that a query looks for."""
        ...

    def whole(self, text: str) -> list[WholeWord]:
        """Return the words of a text in order, without parts and pairs."""
        ...

    def written(self, text: str, words: Sequence[str]) -> list[str]:
        """Return words of a text as they are written there, case and width apart."""
        ...

    def stems(self, word: str) -> bool:
        """Say whether endings may be taken off a word."""
        ...


def normalize(text: str) -> str:
    """Return a text in NFKC without case."""
    return unicodedata.normalize("NFKC", text).casefold()
