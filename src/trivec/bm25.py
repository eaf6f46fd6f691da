"""BM25 as sparse vectors: this module weighs the terms, Qdrant's ``idf`` modifier adds the IDF.

A passage's weight of a term is ``tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average))``
(Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), a query's
weight is the number of times that it names the term; the engine multiplies each product by the
IDF of the collection as it stands, so nothing has to be computed again when passages come or go.

What becomes a term is said in ``trivec.analysis``, whose rules have versions: a new collection
gets the newest, an older one keeps its own.

A term's index is the first four bytes of its BLAKE2b hash as a little-endian integer. It is stable
across machines and versions of Python. Two terms that share one are added up; how many did is
counted in :attr:`Bm25Analyzer.collisions`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from trivec._runtime.checks import shown
from trivec._runtime.typed import check_fields, checked
from trivec.analysis import RULES, Splitter, splitter
from trivec.errors import InputError
from trivec.types import SparseVector

__all__ = ["AnalyzerConfig", "Bm25Analyzer"]

HASH = "blake2b-32"

MAX_REMEMBERED = 250_000
"""Words whose index is kept at hand, and distinct terms among which collisions are counted."""


MAX_STEMS = 65_536
"""Words whose stem is kept at hand: a stemmer takes longer for one than all else together."""


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
        rules: version of the rules that split texts into words; see ``trivec.analysis``.
    """

    user_words: tuple[str | tuple[str, int], ...] = ()
    stop_words: tuple[str, ...] = ()
    k1: float = 1.2
    b: float = 0.75
    average_length: float = 256.0
    stemmer: str | None = "english"
    hash: str = HASH
    rules: int = RULES[-1]

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.k1 >= 0:
            raise InputError(f"k1={shown(self.k1)}; it must be at least 0, 1.2 is usual")
        if not 0 <= self.b <= 1:
            raise InputError(f"b={shown(self.b)}; it must lie between 0 and 1, 0.75 is usual")
        if not self.average_length > 0:
            raise InputError(f"average_length={shown(self.average_length)}; it must be above 0")
        if self.hash != HASH or self.rules not in RULES:
            raise InputError(
                f"analyser rules {shown(self.rules)} with hash {shown(self.hash)}; this trivec has "
                f"rules {', '.join(map(str, RULES))} with {HASH!r}: use the version that wrote the "
                "index, or index again"
            )
        for name in ("user_words", "stop_words"):
            words = getattr(self, name)
            if isinstance(words, str) or not all(_is_word(word) for word in words):
                raise InputError(f"{name}={shown(words)}; give a tuple of words that are not blank")
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
    @checked
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
            tuple(word) if isinstance(word, list) else word for word in _listed("user_words", data)
        )
        settings["stop_words"] = tuple(_listed("stop_words", data))
        return cls(**settings)


def _listed(name: str, data: Mapping[str, Any]) -> Sequence[Any]:
    """Return a list of the settings; none where it is left out."""
    value = data.get(name, ())
    if not isinstance(value, list | tuple):
        raise InputError(f"{name}={shown(value)}; allowed: a list of words")
    return value


class Bm25Analyzer:
    """Turns texts into BM25 vectors. Safe to use from several threads.

    Dictionaries are loaded at the first text, and are this analyser's own.

    Args:
        config: how text becomes terms and weights.
    """

    @checked
    def __init__(self, config: AnalyzerConfig | None = None) -> None:
        self._config = config or AnalyzerConfig()
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

    @checked
    def terms(self, text: str) -> list[str]:
        """Return the terms of a passage, repeated as often as they occur, in no promised order.

        A query's are among them.
        """
        words, _ = self._passage_words(text)
        return [self._term(word) for word in words]

    @checked
    def named_terms(self, text: str) -> list[tuple[str, str]]:
        """Return the whole words of a text in order, each after the term that it counts as.

        Unlike :meth:`terms` without the parts of words and the pairs across their boundaries: what
        a person would read as the text's words, without case.
        """
        tools = self._loaded()
        return [
            (self._term(word), written)
            for word, written in tools.splitter.whole(text)
            if word not in tools.stop_words
        ]

    @checked
    def document(self, text: str) -> SparseVector:
        """Return a passage's term weights without IDF; empty for a text without words."""
        words, length = self._passage_words(text)
        indices, counts = self._counted(words)
        config = self._config
        norm = config.k1 * (1 - config.b + config.b * length / config.average_length)
        weights = counts * (config.k1 + 1) / (counts + norm)
        return SparseVector(indices, weights.astype(np.float32))

    @checked
    def query(self, text: str) -> SparseVector:
        """Return a query's term counts; empty for a text without words."""
        indices, counts = self._counted(self._query_words(text))
        return SparseVector(indices, counts.astype(np.float32))

    @checked
    def decode(self, text: str) -> dict[int, str]:
        """Return the words of a query by their index, as they are written there.

        The hash cannot be undone, so the text that was asked for has to be given again.
        """
        words = self._query_words(text)
        written = self._loaded().splitter.written(text, words)
        pairs = list(zip(words, written, strict=True))
        return {self._remember(word): name for word, name in reversed(pairs)}

    @staticmethod
    @checked
    def term_index(term: str) -> int:
        """Return the index of a term: an unsigned integer of 32 bits."""
        digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        return int.from_bytes(digest, "little")

    def _passage_words(self, text: str) -> tuple[list[str], int]:
        """Return the words before stemming, parts and pairs included, and the text's length."""
        tools = self._loaded()
        words, length = tools.splitter.passage(text)
        if tools.stop_words:
            kept = [word for word in words if word not in tools.stop_words]
            return kept, max(length - len(words) + len(kept), min(len(kept), 1))
        return words, length

    def _query_words(self, text: str) -> list[str]:
        tools = self._loaded()
        words = tools.splitter.query(text)
        return [word for word in words if word not in tools.stop_words]

    def _counted(self, words: Sequence[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return ascending indices (uint32) and how often each occurs (float64)."""
        counted = Counter(words)
        known = list(map(self._index_of_word.get, counted))
        if None in known:
            known = [
                self._remember(word) if index is None else index
                for word, index in zip(counted, known, strict=True)
            ]
        indices = np.array(known, np.uint32)
        order = indices.argsort()
        indices, counts = indices[order], np.array(list(counted.values()), np.float64)[order]
        repeated = indices[1:] == indices[:-1]
        if repeated.any():  # words of one term
            firsts = np.flatnonzero(np.append(True, ~repeated))  # an array's value
            return indices[firsts], np.add.reduceat(counts, firsts)
        return indices, counts

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
        tools = self._loaded()
        if tools.stem is None or not tools.splitter.stems(word):
            return word
        with self._lock:  # a Snowball stemmer keeps the word in itself
            return tools.stem(word)

    def _loaded(self) -> _Tools:
        if self._tools is None:
            with self._lock:
                if self._tools is None:
                    self._tools = _Tools.of(self._config)
        return self._tools


@dataclass(frozen=True, slots=True)
class _Tools:
    """What an analyser loads at its first text."""

    splitter: Splitter
    stem: Callable[[str], str] | None
    stop_words: frozenset[str]

    @classmethod
    def of(cls, config: AnalyzerConfig) -> _Tools:
        rules = splitter(config.rules, config.user_words)
        stem = None if config.stemmer is None else lru_cache(MAX_STEMS)(_stemmer(config.stemmer))
        return cls(rules, stem, frozenset(map(rules.normalize, config.stop_words)))


def _is_word(entry: object) -> bool:
    if isinstance(entry, tuple):
        return len(entry) == 2 and _is_word(entry[0]) and isinstance(entry[1], int)
    return isinstance(entry, str) and bool(entry.strip())


def _require_stemmer(name: str) -> None:
    if name == "english":  # the default; spares importing all of Snowball
        return
    import snowballstemmer

    if name not in snowballstemmer.algorithms():
        allowed = sorted(snowballstemmer.algorithms())
        raise InputError(f"stemmer={shown(name)}; allowed: None or one of {allowed}")


def _stemmer(name: str) -> Callable[[str], str]:
    # the pure implementation by name: snowballstemmer.stemmer() returns whatever version of
    # PyStemmer happens to be installed, and the terms must not depend on that
    from importlib import import_module

    module = import_module(f"snowballstemmer.{name}_stemmer")
    camel = "".join(part.capitalize() for part in name.split("_"))
    stem: Callable[[str], str] = getattr(module, f"{camel}Stemmer")().stemWord
    return stem
