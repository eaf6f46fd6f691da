"""Chats that teach a language model the words by which documents are found.

ChatLaw's way: a model of one's own turns a lay question into the words of the domain. Its examples
need no human labels. The words of a passage that answers a question are weighed by the sparse
head and by how rare they are, and searching with them shows whether they find it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import orjson

from trivec._runtime.checks import check_least
from trivec._runtime.paths import user_path
from trivec._runtime.typed import check_fields, checked
from trivec.arms import LEXICAL, SPARSE
from trivec.bm25 import Bm25Analyzer
from trivec.chat.languages import language_of
from trivec.errors import InputError
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.index.options import Progress
from trivec.rewriting.prompts import KEYWORD_INSTRUCTIONS, KeywordPrompt, keyword_messages
from trivec.training.data.examples import TrainingExample, read_examples
from trivec.training.data.pairs import key_of
from trivec.training.data.writing import alone_in, written_whole
from trivec.types import QueryText, SearchOptions, SparseVector

__all__ = ["KeywordOptions", "KeywordReport", "build_keyword_dataset"]

BATCH = 64
"""Questions that are searched for at a time."""

LONGEST_WORD = 32
"""Characters; what is longer is an address or a key, not a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordOptions:
    """Which words a model is taught.

    Attributes:
        count: the most keywords of a question; as many are asked for where the model is used.
        within: the rank within which the keywords alone must find a passage of the question.

    Raises:
        InputError: a number below 1.
    """

    count: int = 6
    within: int = 10

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("count", self.count, 1)
        check_least("within", self.within, 1)


@dataclass(frozen=True, slots=True)
class KeywordReport:
    """What became of the questions: ``given == written + no_words + not_found + no_better``.

    Attributes:
        given: questions of the file.
        written: chats that were written.
        no_words: questions whose passages have no word that the question lacks.
        not_found: questions whose keywords do not find their passage.
        no_better: questions that find their passage better without the keywords.
        before: the mean reciprocal rank, by words, of the questions that were written.
        after: the same with their keywords.
    """

    given: int
    written: int
    no_words: int
    not_found: int
    no_better: int
    before: float
    after: float

    def to_json(self) -> dict[str, Any]:
        """Return the report in JSON's types."""
        return asdict(self)


@checked
def build_keyword_dataset(
    index: HybridIndex,
    examples: str | Path,
    to: str | Path,
    options: KeywordOptions | None = None,
    *,
    progress: Progress | None = None,
) -> KeywordReport:
    """Write chats in which a question is answered by the keywords that find its passages.

    Each line is ``{"messages": [system, user, assistant]}``, as trainers of chat models take it.
    The messages are those of :class:`trivec.rewriting.KeywordRewriter`, so that it can ask the
    model that was trained on them. The same files always give the same chats.

    Args:
        index: holds the passages; it needs a lexical arm. Sparse weights count where it has them.
        examples: a file of training examples, such as ``train.jsonl``.
        to: the file that is written; one that is there is replaced.
        options: which words.
        progress: called with the number of questions dealt with.

    Raises:
        InputError: the examples cannot be read, the index has no lexical arm, or no chat is left.

    Example:
        >>> report = build_keyword_dataset(index, "train.jsonl", "chats.jsonl")  # doctest: +SKIP
    """
    rules, path = options or KeywordOptions(), user_path("to", to)
    lexical = tuple(arm for arm in LEXICAL if arm in index.arms())
    if not lexical:
        raise InputError(
            f"the index has the arms {list(index.arms())}; keywords need one of {list(LEXICAL)}"
        )
    asked = list(read_examples(examples))
    wording = _Wording.of(index, {key for example in asked for key in example.pos_ids})
    counts: Counter[str] = Counter()
    before = after = 0.0
    with alone_in(path.parent), written_whole(path) as file:
        for example, words, ranks in _searched(index, asked, wording, rules, lexical):
            verdict = _verdict(words, ranks, rules)
            counts[verdict] += 1
            if verdict == "written":
                before += 1 / ranks[1] if ranks[1] else 0.0
                after += 1 / ranks[2] if ranks[2] else 0.0
                file.write(orjson.dumps(_chat(example.query, words, rules)) + b"\n")
            if progress is not None:
                progress(1)
        written = counts["written"]
        if not written:
            raise InputError(
                f"none of {len(asked)} questions has keywords that find its passages "
                f"({dict(counts)}); give other examples, or a larger within={rules.within}"
            )
    return KeywordReport(
        given=len(asked),
        written=written,
        no_words=counts["no_words"],
        not_found=counts["not_found"],
        no_better=counts["no_better"],
        before=round(before / written, 4),
        after=round(after / written, 4),
    )


def _verdict(words: Sequence[str], ranks: Sequence[int | None], options: KeywordOptions) -> str:
    """Say what becomes of a question whose passage has these ranks.

    Args:
        words: its keywords.
        ranks: of its passage, searched for by the keywords, by the question, and by both.
        options: which ranks will do.
    """
    if not words:
        return "no_words"
    alone, question, both = ranks
    if alone is None or alone > options.within or both is None:
        return "not_found"
    return "no_better" if question is not None and both > question else "written"


def _searched(
    index: HybridIndex,
    examples: Sequence[TrainingExample],
    wording: _Wording,
    options: KeywordOptions,
    arms: Sequence[str],
) -> Iterator[tuple[TrainingExample, list[str], list[int | None]]]:
    """Yield every example with its keywords and the ranks of its passage; see ``_verdict``."""
    stream = iter(examples)
    depth = max(100, options.within)
    search = SearchOptions(arms=arms)
    while batch := list(islice(stream, BATCH)):
        words = [wording.keywords(example, options.count) for example in batch]
        texts = [
            QueryText(text, arms=tuple(arms))
            for example, found in zip(batch, words, strict=True)
            if found
            for text in (
                " ".join(found),
                example.query,
                " ".join((example.query, *found)),
            )
        ]
        hits = iter(index.search_batch(texts, depth, options=search))
        for example, found in zip(batch, words, strict=True):
            ranks: list[int | None] = []
            for _ in range(3 if found else 0):
                keys = [key_of(hit.chunk) for hit in next(hits)]
                at = [place for place, key in enumerate(keys, 1) if key in example.pos_ids]
                ranks.append(min(at, default=None))
            yield example, found, ranks


@dataclass(frozen=True, slots=True)
class _Wording:
    """The words of the passages that answer questions, and how rare words are in the corpus."""

    analyzer: Bm25Analyzer
    frequencies: Mapping[str, int]
    passages: int
    weights: Mapping[str, Mapping[str, float]]
    texts: Mapping[str, str]

    @classmethod
    def of(cls, index: HybridIndex, wanted: set[str]) -> _Wording:
        """Read a corpus once.

        Args:
            index: holds it.
            wanted: keys of the passages whose sparse weights are needed.
        """
        binding = binding_of(index)
        analyzer = binding.analyzer or Bm25Analyzer()
        spec = index.schema.vectors.get(SPARSE.name)
        names = () if spec is None else (spec.name,)
        frequencies: Counter[str] = Counter()
        weights: dict[str, Mapping[str, float]] = {}
        texts: dict[str, str] = {}
        count = 0
        for points in binding.pages(binding.scope(), with_vectors=names):
            for point in points:
                chunk = binding.codec.decode(point)
                frequencies.update({term for term, _ in analyzer.named_terms(chunk.text)})
                count += 1
                if (key := key_of(chunk)) in wanted:
                    texts[key] = chunk.text
                    vector = point.vectors.get(names[0]) if names else None
                    if vector is not None:
                        weights[key] = _by_token(index, cast("SparseVector", vector))
        return cls(analyzer, frequencies, count, weights, texts)

    def keywords(self, example: TrainingExample, count: int) -> list[str]:
        """Return the words that tell an example's passages from others, the best first."""
        asked = {term for term, _ in self.analyzer.named_terms(example.query)}
        rarity: dict[str, float] = {}
        weights: dict[str, float] = {}
        words: dict[str, str] = {}
        for key in example.pos_ids:
            tokens = self.weights.get(key)
            for term, word in self.analyzer.named_terms(self.texts.get(key, "")):
                if term in asked or not 1 < len(word) <= LONGEST_WORD or not word[0].isalpha():
                    continue
                if words.setdefault(term, word) == word and term not in rarity:
                    rarity[term], weights[term] = self._rarity(term), _weight(word, tokens)
        if not any(weights.values()):  # a vocabulary whose tokens are not parts of words
            weights = dict.fromkeys(weights, 1.0)
        scores = {term: rarity[term] * weights[term] for term in rarity}
        best = sorted(scores, key=lambda term: (-scores[term], term))
        return [words[term] for term in best[:count] if scores[term] > 0]

    def _rarity(self, term: str) -> float:
        """Return BM25's inverse document frequency."""
        found = self.frequencies.get(term, 0)
        return math.log(1 + (self.passages - found + 0.5) / (found + 0.5))


def _by_token(index: HybridIndex, vector: SparseVector) -> dict[str, float]:
    """Return the sparse weights of a passage by the text of its tokens."""
    texts = index.encoder.decode_tokens(vector.indices.tolist())
    pairs = zip(texts, vector.values.tolist(), strict=True)
    return {text.replace("▁", "").strip().casefold(): weight for text, weight in pairs}


def _weight(word: str, tokens: Mapping[str, float] | None) -> float:
    """Return the highest weight of the tokens that a word consists of; 1 where none are known."""
    if tokens is None:
        return 1.0
    folded = word.casefold()
    if folded in tokens:
        return tokens[folded]
    pieces = (folded[start:end] for start, end in _pieces(len(folded)))
    return max((tokens[piece] for piece in pieces if piece in tokens), default=0.0)


def _pieces(length: int) -> Iterator[tuple[int, int]]:
    """Yield where the pieces of a word begin and end that are long enough to mean it."""
    least = max(1, length // 3)
    for size in range(length, least - 1, -1):
        for start in range(length - size + 1):
            yield start, start + size


def _chat(question: str, words: Sequence[str], options: KeywordOptions) -> dict[str, Any]:
    """Return the messages that ask for keywords, and the reply that is wanted."""
    prompt = KeywordPrompt(
        instructions=KEYWORD_INSTRUCTIONS,
        examples={"en": (), "zh": ()},
        domain=None,
        max_keywords=options.count,
        max_sub_questions=0,
    )
    messages = keyword_messages(question, language_of(question), prompt)
    reply = json.dumps({"keywords": list(words)}, ensure_ascii=False)
    return {"messages": [*messages, {"role": "assistant", "content": reply}]}
