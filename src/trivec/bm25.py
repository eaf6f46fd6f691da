"""BM25 as sparse vectors: this module weighs the terms, Qdrant's ``idf`` modifier adds the IDF.

A passage's weight of a term is ``tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average))``
(Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), a query's
weight is the number of times that it names the term; the engine multiplies each product by the
IDF of the collection as it stands, so nothing has to be computed again when passages come or go.

Terms, after NFKC and case folding:

- Han: the words of jieba, without its guessing of new words (HMM); the dictionary words inside
  longer words; and the two characters on either side of every word boundary, which find the
  names and the traditional spellings that the dictionary does not know;
- kana, hangul, Thai, Lao, Khmer, Burmese: pairs of characters, since words are not separated or
  carry particles;
- all else: runs of letters, marks and digits, stemmed; numbers keep their points and commas.

A term's index is the first four bytes of its BLAKE2b hash as a little-endian integer. It is stable
across machines and versions of Python. Two terms that share one are added up; how many did is
counted in :attr:`Bm25Analyzer.collisions`.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec.errors import InputError
from trivec.types import SparseVector

if TYPE_CHECKING:
    from regex import Pattern
    from rjieba import Jieba

__all__ = ["AnalyzerConfig", "Bm25Analyzer"]

HASH = "blake2b-32"
RULES = 1

MAX_REMEMBERED = 250_000
"""Words whose index is kept at hand, and distinct terms among which collisions are counted."""

CJK_START = "\u2e80"
"""First of the blocks whose words have no endings to take off."""

UNSEPARATED = r"\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
RUNS = (
    r"(?P<han>\p{Han}+)"
    rf"|(?P<unseparated>[{UNSEPARATED}]+)"
    r"|(?P<number>\d+(?:[.,]\d+)+(?!\w))"
    rf"|(?P<word>[\w--[_\p{{Han}}{UNSEPARATED}]]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzerConfig:
    """How text becomes BM25 terms and weights; part of a collection's fingerprint.

    The defaults were chosen on CMRC 2018, DRCD and Cranfield.

    Attributes:
        user_words: terms that must stay whole, each alone or with a jieba frequency:
            ``("稠密向量", ("向量数据库", 500), "C++")``. Their parts are terms too.
        stop_words: words left out; none by default, since IDF makes them light.
        k1: how slowly the weight of a repeated term saturates.
        b: how much long passages are held back, 0 to 1.
        average_length: words in a typical passage. A setting, not a statistic: vectors are final
            when they are written. Words within words and pairs are not counted.
        stemmer: a Snowball algorithm for space-separated words, None for none.
        hash: how a term becomes an index.
        rules: version of the rules in this module.
    """

    user_words: tuple[str | tuple[str, int], ...] = ()
    stop_words: tuple[str, ...] = ()
    k1: float = 1.2
    b: float = 0.75
    average_length: float = 256.0
    stemmer: str | None = "english"
    hash: str = HASH
    rules: int = RULES

    def __post_init__(self) -> None:
        if not self.k1 >= 0:
            raise InputError(f"k1={self.k1!r}; it must be at least 0, 1.2 is usual")
        if not 0 <= self.b <= 1:
            raise InputError(f"b={self.b!r}; it must lie between 0 and 1, 0.75 is usual")
        if not self.average_length > 0:
            raise InputError(f"average_length={self.average_length!r}; it must be above 0")
        if (self.hash, self.rules) != (HASH, RULES):
            raise InputError(
                f"analyser rules {self.rules!r} with hash {self.hash!r}; this trivec has rules "
                f"{RULES} with {HASH!r}: use the version that wrote the index, or index again"
            )
        for name in ("user_words", "stop_words"):
            words = getattr(self, name)
            if isinstance(words, str) or not all(_is_word(word) for word in words):
                raise InputError(f"{name}={words!r}; give a tuple of words that are not blank")
        if self.stemmer is not None:
            _require_stemmer(self.stemmer)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        data = asdict(self)
        data["user_words"] = [
            word if isinstance(word, str) else list(word) for word in self.user_words
        ]
        data["stop_words"] = list(self.stop_words)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnalyzerConfig:
        """Read what :meth:`to_json` wrote.

        Raises:
            InputError: it holds settings that this version does not know.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise InputError(f"unknown analyser settings {unknown}; allowed: {sorted(known)}")
        settings = dict(data)
        settings["user_words"] = tuple(
            word if isinstance(word, str) else tuple(word) for word in data.get("user_words", ())
        )
        settings["stop_words"] = tuple(data.get("stop_words", ()))
        return cls(**settings)


class Bm25Analyzer:
    """Turns texts into BM25 vectors. Safe to use from several threads.

    Dictionaries are loaded at the first text, and are this analyser's own.

    Args:
        config: how text becomes terms and weights.
    """

    def __init__(self, config: AnalyzerConfig | None = None) -> None:
        self._config = config or AnalyzerConfig()
        self._stop_words = frozenset(map(_normalize, self._config.stop_words))
        self._tools: _Tools | None = None
        self._lock = threading.Lock()
        self._index_of_word: dict[str, int] = {}
        self._term_of_index: dict[int, str] = {}
        self._collided: set[str] = set()

    @property
    def config(self) -> AnalyzerConfig:
        """How text becomes terms and weights."""
        return self._config

    @property
    def collisions(self) -> int:
        """How many terms turned up whose index another term had taken.

        Counted among the first 250,000 distinct terms. About ``n * n / 2**33`` are to be expected
        among ``n``.
        """
        return len(self._collided)

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text, repeated as often as they occur, in no promised order."""
        words, _ = self._words(text)
        return [self._term(word) for word in words]

    def named_terms(self, text: str) -> list[tuple[str, str]]:
        """Return the whole words of a text in order, each after the term that it counts as.

        Unlike :meth:`terms` without the parts of words and the pairs across their boundaries: what
        a person would read as the text's words, without case.
        """
        words = self._loaded().split_whole(_normalize(text))
        return [(self._term(word), word) for word in words if word not in self._stop_words]

    def document(self, text: str) -> SparseVector:
        """Return a passage's term weights without IDF; empty for a text without words."""
        words, length = self._words(text)
        indices, counts = self._counted(words)
        config = self._config
        norm = config.k1 * (1 - config.b + config.b * length / config.average_length)
        weights = counts * (config.k1 + 1) / (counts + norm)
        return SparseVector(indices, weights.astype(np.float32))

    def query(self, text: str) -> SparseVector:
        """Return a query's term counts; empty for a text without words."""
        indices, counts = self._counted(self._words(text)[0])
        return SparseVector(indices, counts.astype(np.float32))

    def decode(self, text: str) -> dict[int, str]:
        """Return the words of a text by their index, as they are written there.

        The hash cannot be undone, so the text that was asked for has to be given again.
        """
        words, _ = self._words(text)
        return {self._remember(word): word for word in reversed(words)}

    @staticmethod
    def term_index(term: str) -> int:
        """Return the index of a term: an unsigned integer of 32 bits."""
        digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        return int.from_bytes(digest, "little")

    def _words(self, text: str) -> tuple[list[str], int]:
        """Return the words before stemming, parts and pairs included, and the text's length."""
        words, length = self._loaded().split(_normalize(text))
        if self._stop_words:
            kept = [word for word in words if word not in self._stop_words]
            return kept, max(length - len(words) + len(kept), min(len(kept), 1))
        return words, length

    def _counted(self, words: Sequence[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return ascending indices (uint32) and how often each occurs (float64)."""
        known = self._index_of_word
        counts: dict[int, int] = {}
        for word, count in Counter(words).items():
            index = known.get(word)
            if index is None:
                index = self._remember(word)
            counts[index] = counts.get(index, 0) + count
        indices = np.fromiter(counts.keys(), np.uint32, len(counts))
        order = np.argsort(indices)
        return indices[order], np.fromiter(counts.values(), np.float64, len(counts))[order]

    def _remember(self, word: str) -> int:
        term = self._term(word)
        index = self.term_index(term)
        with self._lock:
            if len(self._index_of_word) >= MAX_REMEMBERED:
                self._index_of_word.clear()
            self._index_of_word[word] = index
            if len(self._term_of_index) < MAX_REMEMBERED:
                self._term_of_index.setdefault(index, term)
            if self._term_of_index.get(index, term) != term:
                self._collided.add(term)
        return index

    def _term(self, word: str) -> str:
        stem = self._loaded().stem
        if stem is None or word[0] >= CJK_START:
            return word
        with self._lock:  # a Snowball stemmer keeps the word in itself
            return stem(word)

    def _loaded(self) -> _Tools:
        if self._tools is None:
            with self._lock:
                if self._tools is None:
                    self._tools = _Tools(self._config)
        return self._tools


class _Tools:
    """The dictionaries and patterns of one analyser: text in, words out."""

    def __init__(self, config: AnalyzerConfig) -> None:
        import rjieba

        self._jieba: Jieba = rjieba.Jieba()
        mixed = []
        for entry in config.user_words:
            word, frequency = (entry, None) if isinstance(entry, str) else entry
            word = _normalize(word)
            if _pattern(r"\p{Han}+").fullmatch(word):
                self._jieba.add_word(word, frequency, None)
            else:
                mixed.append(word)
        self._runs = _pattern(RUNS)
        self._user_runs = _pattern(f"{_alternatives(mixed)}|{RUNS}") if mixed else self._runs
        self.stem = None if config.stemmer is None else _stemmer(config.stemmer)

    def split(self, text: str) -> tuple[list[str], int]:
        """Return all words of a normalised text, and its length without parts and pairs."""
        words: list[str] = []
        length = 0
        for match in self._user_runs.finditer(text):
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

    def split_whole(self, text: str) -> list[str]:
        """Return the words of a normalised text in order, without parts and pairs."""
        words: list[str] = []
        for match in self._user_runs.finditer(text):
            han = match.lastgroup == "han"
            words += self._jieba.cut(match[0], hmm=False) if han else [match[0]]
        return words

    def _parts(self, user_word: str) -> list[str]:
        parts: list[str] = []
        for match in self._runs.finditer(user_word):
            han = match.lastgroup == "han"
            parts += self._jieba.cut_for_search(match[0], hmm=False) if han else [match[0]]
        return [part for part in parts if part != user_word]


def _normalize(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_word(entry: object) -> bool:
    if isinstance(entry, tuple):
        return len(entry) == 2 and _is_word(entry[0]) and isinstance(entry[1], int)
    return isinstance(entry, str) and bool(entry.strip())


def _pattern(source: str) -> Pattern[str]:
    import regex

    return regex.compile(source, regex.V1)


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


def _require_stemmer(name: str) -> None:
    if name == "english":  # the default; spares importing all of Snowball
        return
    import snowballstemmer

    if name not in snowballstemmer.algorithms():
        allowed = sorted(snowballstemmer.algorithms())
        raise InputError(f"stemmer={name!r}; allowed: None or one of {allowed}")


def _stemmer(name: str) -> Callable[[str], str]:
    # the pure implementation by name: snowballstemmer.stemmer() returns whatever version of
    # PyStemmer happens to be installed, and the terms must not depend on that
    from importlib import import_module

    module = import_module(f"snowballstemmer.{name}_stemmer")
    camel = "".join(part.capitalize() for part in name.split("_"))
    stem: Callable[[str], str] = getattr(module, f"{camel}Stemmer")().stemWord
    return stem
