"""Rules 1, for the collections that were written with them. Frozen.

- Han: the words of jieba, without its guessing of new words (HMM); the dictionary words inside
  longer words; and the two characters on either side of every word boundary;
- kana, hangul, Thai, Lao, Khmer, Burmese: pairs of characters;
- all else: runs of letters, marks and digits; numbers keep their points and commas.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from trivec.analysis.splitting import UserWord, WholeWord, normalize
from trivec.analysis.user_words import compiled, teach

__all__ = ["FirstRules"]

CJK_START = "\u2e80"
"""First of the blocks whose words have no endings to take off."""

UNSEPARATED = r"\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
RUNS = (
    r"(?P<han>\p{Han}+)"
    rf"|(?P<unseparated>[{UNSEPARATED}]+)"
    r"|(?P<number>\d+(?:[.,]\d+)+(?!\w))"
    rf"|(?P<word>[\w--[_\p{{Han}}{UNSEPARATED}]]+)"
)


class FirstRules:
    """Splits texts as rules 1 do; passages and queries alike."""

    def __init__(self, user_words: Sequence[UserWord]) -> None:
        import rjieba

        self._jieba = rjieba.Jieba()
        mixed = teach(self._jieba, user_words, normalize)
        self._runs = compiled(RUNS)
        self._user_runs = compiled(RUNS, mixed)

    def normalize(self, text: str) -> str:
        """Return the text as its words are taken from it."""
        return normalize(text)

    def passage(self, text: str) -> tuple[list[str], int]:
        """Return the words of a passage, and how many it counts for its length."""
        words: list[str] = []
        length = 0
        for match in self._user_runs.finditer(normalize(text)):
            run = match[0]
            kind = match.lastgroup
            if kind == "han":
                whole = self._jieba.cut(run, hmm=False)
                words += self._jieba.cut_for_search(run, hmm=False)
                words += [left[-1] + right[0] for left, right in pairwise(whole)]
                length += len(whole)
            elif kind == "unseparated":
                pairs = [run[at : at + 2] for at in range(max(len(run) - 1, 1))]
                words += pairs
                length += len(pairs)
            else:
                words.append(run)
                length += 1
                if kind == "user":
                    words += self._parts(run)
        return words, length

    def query(self, text: str) -> list[str]:
        """Return the words that a query looks for."""
        return self.passage(text)[0]

    def whole(self, text: str) -> list[WholeWord]:
        """Return the words of a text as they stand in it, for dictionaries."""
        words: list[str] = []
        for match in self._user_runs.finditer(normalize(text)):
            han = match.lastgroup == "han"
            words += self._jieba.cut(match[0], hmm=False) if han else [match[0]]
        return [WholeWord(word, word) for word in words]

    def written(self, text: str, words: Sequence[str]) -> list[str]:  # noqa: ARG002  # as they are
        """Return the words as the text writes them."""
        return list(words)

    def stems(self, word: str) -> bool:
        """Say whether a word is stemmed."""
        return word[0] < CJK_START

    def _parts(self, user_word: str) -> list[str]:
        parts: list[str] = []
        for match in self._runs.finditer(user_word):
            han = match.lastgroup == "han"
            parts += self._jieba.cut_for_search(match[0], hmm=False) if han else [match[0]]
        return [part for part in parts if part != user_word]
