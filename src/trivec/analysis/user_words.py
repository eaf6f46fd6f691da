"""Words that the user wants kept whole: Han ones go to jieba, others become a pattern."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trivec.analysis.splitting import UserWord

if TYPE_CHECKING:
    from regex import Pattern
    from rjieba import Jieba

__all__ = ["compiled", "teach"]


def teach(
    jieba: Jieba, user_words: Sequence[UserWord], normalized: Callable[[str], str]
) -> list[str]:
    """Add the words of Han characters to a dictionary; return the others, normalised."""
    mixed = []
    for entry in user_words:
        word, frequency = (entry, None) if isinstance(entry, str) else entry
        word = normalized(word)
        if compiled(r"\p{Han}+").fullmatch(word):
            jieba.add_word(word, frequency, None)
        else:
            mixed.append(word)
    return mixed


def compiled(source: str, first: Sequence[str] = ()) -> Pattern[str]:
    """Compile a pattern that looks for some words first; those match as group ``user``."""
    import regex

    return regex.compile(f"{_alternatives(first)}|{source}" if first else source, regex.V1)


def _alternatives(words: Sequence[str]) -> str:
    """Return a group that matches the longest of the words, never inside a Latin word or number."""
    import regex

    inside = r"[\p{Latin}\p{N}]"
    parts = []
    for word in sorted(words, key=len, reverse=True):
        left = f"(?<!{inside})" if regex.match(inside, word[0]) else ""
        right = f"(?!{inside})" if regex.match(inside, word[-1]) else ""
        parts.append(f"{left}{regex.escape(word)}{right}")
    return f"(?P<user>{'|'.join(parts)})"
