"""What is gathered before it is cleaned: passages, and pairs of a question with its passages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trivec.evaluation import Dataset
from trivec.text import clean, is_blank
from trivec.types import Chunk

__all__ = ["Corpus", "CorpusPassage", "Gathered", "Pair", "PairKind", "key_of", "of_dataset"]

PairKind: TypeAlias = Literal["Q-D", "Q-Q", "Q-A"]
"""A question with a passage of the documents, with another question, or with an answer."""


@dataclass(frozen=True, slots=True)
class CorpusPassage:
    """A passage of the corpus.

    Attributes:
        key: tells it from all others.
        text: what is searched.
        document: what it is a part of.
        position: its place in the document.
    """

    key: str
    text: str
    document: str
    position: int = 0


Corpus: TypeAlias = Mapping[str, CorpusPassage]
"""Passages by their keys."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, and the passages that are said to answer it.

    Attributes:
        id: tells it from all others.
        question: what is asked.
        positives: keys of the passages that answer it.
        origin: where it came from: ``generated``, ``feedback``, ``added``, or a file's name.
        kind: what is paired.
        rejected: keys of passages of which users said that they do not answer it.
        apart: keys of passages that may answer it and may not: neither positives nor negatives.
        document: which document it is of; empty is that of its first positive.
    """

    id: str
    question: str
    positives: tuple[str, ...]
    origin: str
    kind: PairKind = "Q-D"
    rejected: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    document: str = ""


@dataclass(slots=True)
class Gathered:
    """Passages and pairs from every source.

    Attributes:
        passages: by key.
        pairs: in the order of their sources.
        notes: what is wrong with the sources, in words.
        named: the key of a passage by its id; empty where several sources have the id.
        colliding: keys that two passages with different texts claimed; the first one counts.
    """

    passages: dict[str, CorpusPassage] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    colliding: Counter[str] = field(default_factory=Counter)

    def add_passages(self, chunks: Iterable[Chunk], prefix: str = "") -> None:
        """Add passages; blank ones are left out, and of two with one key the first is kept."""
        for chunk in chunks:
            text, key = clean(chunk.text), f"{prefix}{key_of(chunk)}"
            if is_blank(text):
                continue
            document = f"{prefix}{chunk.source or chunk.id}"
            passage = CorpusPassage(key, text, clean(document), chunk.position)
            if self.passages.setdefault(key, passage).text != text:
                self.colliding[key] += 1
            identity = f"{prefix}{chunk.id}"
            if self.named.setdefault(identity, key) != key:
                self.named[identity] = ""


def key_of(chunk: Chunk) -> str:
    """Return what tells a passage from all others: sources may share an id."""
    identity, source = clean(str(chunk.id)), clean(chunk.source or "")
    return identity if not source or identity.startswith(source) else f"{source}#{identity}"


def of_dataset(dataset: Dataset, origin: str, keys: Mapping[str, str]) -> list[Pair]:
    """Return the pairs of a dataset's questions.

    Args:
        dataset: questions with their relevant passages.
        origin: where it came from.
        keys: the key of each passage, by its id in the dataset; an id that is not there stays.
    """
    return [
        Pair(
            f"{origin}:{question.id}",
            clean(question.text),
            tuple(keys.get(identity, identity) for identity in question.relevant),
            origin,
            document=clean(question.document),
        )
        for question in dataset.questions
    ]
