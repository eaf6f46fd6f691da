"""The plain spelling of a word: without accents, vowel signs and letters that are often left out.

A word counts as itself and as its plain spelling, so that ``cafe`` finds ``café``, and ``café``
finds itself first.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["WITH_MARKS", "plain_spellings"]

WITH_MARKS = "\u0980"
"""Behind Latin, Greek, Cyrillic, Hebrew, Arabic and Devanagari."""

LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        **dict(zip("øłđðıħŧё", "olddihtе", strict=True)),
        **dict(zip("أإآٱىةیک", "ااااي\u0647يك", strict=True)),  # Persian letters too
        "\u0640": None,  # the stroke that makes an Arabic word longer
        "\u093c": None,  # the dot below a letter of Devanagari
        "\u0901": "\u0902",
    }
)
ARTICLE = "ال"
SHORTEST = 3
"""Letters that are left of an Arabic word without its article."""


def plain_spellings(word: str) -> tuple[str, ...]:
    """Return how else a word is spelled by those who leave signs out; often in no other way."""
    return () if word.isascii() or word[0] >= WITH_MARKS else _plain(word)


@lru_cache(maxsize=65_536)
def _plain(word: str) -> tuple[str, ...]:
    plain = "".join(map(_without_marks, word.translate(LETTERS)))
    spellings = [plain] if plain and plain != word else []
    if plain.startswith(ARTICLE) and len(plain) >= len(ARTICLE) + SHORTEST:
        spellings.append(plain.removeprefix(ARTICLE))
    return tuple(spellings)


def _without_marks(character: str) -> str:
    """Return a letter without accents; a vowel sign alone is nothing."""
    if "\u0400" <= character < "\u0530" or character >= "\u0900":
        return character  # й is no и, and signs are vowels in Devanagari
    decomposed = unicodedata.normalize("NFD", character)
    return "".join(part for part in decomposed if unicodedata.category(part) != "Mn")
