"""Questions with the passages that answer them, whatever file they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal, TypeAlias

from trivec.errors import InputError
from trivec.text import is_blank
from trivec.types import Chunk

__all__ = ["Dataset", "DatasetFault", "FaultKind", "Question", "assemble"]

FaultKind: TypeAlias = Literal[
    "duplicate passage id",
    "duplicate question id",
    "blank passage",
    "blank question",
    "judged passage that is not there",
    "question without a relevant passage",
    "judged question that is not there",
    "judged twice",
    "question of only one of the two files",
    "the same passage under two ids",
]
"""What can be wrong with a part of a dataset."""

NAMED = 5
"""Ids that a fault's text names."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and which passages answer it.

    Attributes:
        id: its id within the dataset.
        text: what is asked.
        relevant: a grade of 1 or more by the id of each passage that answers it.
        document: what the answer stands in; questions of one document are drawn together where
            chance is estimated.
    """

    id: str
    text: str
    relevant: Mapping[str, int]
    document: str = ""


@dataclass(frozen=True, slots=True)
class DatasetFault:
    """What is wrong with parts of a dataset, and with which; the rest is used.

    Attributes:
        kind: what is wrong.
        ids: of questions or passages.
    """

    kind: FaultKind
    ids: tuple[str, ...]

    @property
    def named(self) -> str:
        """The first ids, as texts show them."""
        return ", ".join([*self.ids[:NAMED], *(["…"] if len(self.ids) > NAMED else [])])

    def __str__(self) -> str:
        return f"{self.kind} ({len(self.ids)}): {self.named}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Passages, questions, and what was left out of the file.

    Attributes:
        name: how reports call it.
        passages: each with an id; none where the questions are about an index that is there.
        questions: each with at least one relevant passage.
        faults: what was wrong with the file.
    """

    name: str
    passages: tuple[Chunk, ...]
    questions: tuple[Question, ...]
    faults: tuple[DatasetFault, ...] = field(default=())

    @property
    def documents(self) -> int:
        """The number of documents that the answers stand in."""
        return len({question.document for question in self.questions})

    def digest(self) -> str:
        """Return what changes whenever a question, a judgement or a passage does."""
        return _digest(
            [self.passages_digest()],
            (
                [question.id, question.text, question.document]
                + [f"{key}={grade}" for key, grade in sorted(question.relevant.items())]
                for question in self.questions
            ),
        )

    def passages_digest(self) -> str:
        """Return what changes whenever a passage does."""
        return _digest(
            [], ([str(chunk.id), chunk.source or "", chunk.text] for chunk in self.passages)
        )

    def asked_by(self, other: Dataset) -> Dataset:
        """Return these passages, with the words of another dataset's questions.

        This is how questions in one language are asked over passages in another.

        Args:
            other: a dataset whose questions have the same ids as these.

        Raises:
            InputError: no question of the other has an id of this one.
        """
        words = {question.id: question.text for question in other.questions}
        known = {question.id for question in self.questions}
        alone = tuple(sorted(known ^ set(words)))
        questions = tuple(
            replace(question, text=words[question.id])
            for question in self.questions
            if question.id in words
        )
        if not questions:
            raise InputError(
                f"{other.name!r} and {self.name!r} have no question id in common; give two "
                "translations of one dataset"
            )
        lacking = [DatasetFault("question of only one of the two files", alone)] if alone else []
        return replace(
            self,
            name=f"{other.name}@{self.name}",
            questions=questions,
            faults=(*self.faults, *other.faults, *lacking),
        )

    def of_documents(self, documents: Iterable[str]) -> Dataset:
        """Return all passages, and the questions whose answers stand in these documents."""
        wanted = set(documents)
        questions = tuple(one for one in self.questions if one.document in wanted)
        return replace(self, questions=questions)


def assemble(
    name: str,
    passages: Iterable[Chunk],
    questions: Iterable[Question],
    faults: Iterable[tuple[FaultKind, str]] = (),
) -> Dataset:
    """Return a dataset of what can be used; the rest is named in its faults.

    A judged passage that is not there stays judged: no search can find it, and that counts.

    Args:
        name: of the dataset.
        passages: with ids; of two with one id the first counts, and so of questions.
        questions: with whatever judgements the file has.
        faults: what reading it has shown already.

    Raises:
        InputError: no question is left.
    """
    noted: list[tuple[FaultKind, str]] = list(faults)
    kept: dict[str, Chunk] = {}
    for chunk in passages:
        identity = str(chunk.id)
        if is_blank(chunk.text):
            noted.append(("blank passage", identity))
        elif identity not in kept:
            kept[identity] = chunk
        elif kept[identity].text != chunk.text:
            noted.append(("duplicate passage id", identity))
    asked: dict[str, Question] = {}
    for question in questions:
        if fault := _fault_of(question, asked):
            noted.append((fault, question.id))
            continue
        relevant = {key: grade for key, grade in question.relevant.items() if grade > 0}
        noted += [
            ("judged passage that is not there", key)
            for key in relevant
            if kept and key not in kept
        ]
        asked[question.id] = replace(
            question,
            relevant=relevant,
            document=question.document or _document_of(relevant, kept),
        )
    by_kind: dict[FaultKind, dict[str, None]] = {}
    for kind, identity in noted:
        by_kind.setdefault(kind, {})[identity] = None
    named = tuple(DatasetFault(kind, tuple(ids)) for kind, ids in by_kind.items())
    if not asked:
        told = f" ({'; '.join(map(str, named))})" if named else ""
        raise InputError(f"{name!r} has no question with a relevant passage{told}; give some")
    return Dataset(name, tuple(kept.values()), tuple(asked.values()), named)


def _fault_of(question: Question, asked: Mapping[str, Question]) -> FaultKind | None:
    if is_blank(question.text):
        return "blank question"
    if question.id in asked:
        return "duplicate question id"
    if not any(grade > 0 for grade in question.relevant.values()):
        return "question without a relevant passage"
    return None


def _document_of(relevant: Mapping[str, int], passages: Mapping[str, Chunk]) -> str:
    """Return the source of the first relevant passage; without one, the passage itself."""
    first = next(iter(relevant))
    return (passages[first].source if first in passages else None) or first


def _digest(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    digest = sha256()
    for row in (head, *rows):
        for text in row:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(b"\n")
    return digest.hexdigest()[:16]
