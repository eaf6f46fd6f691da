"""SQuAD's shape: articles with paragraphs, each with its questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset, FaultKind, Question, assemble
from trivec.text import Span, is_blank
from trivec.types import Chunk

__all__ = ["SplitText", "read_squad"]

SplitText = Callable[[str], list[Span]]
"""Splits a long paragraph into passages."""


def read_squad(path: Path, data: Mapping[str, Any], split: SplitText | None) -> Dataset:
    """Read a SQuAD-shaped file: paragraphs are the passages, and a question's own is relevant.

    Paragraphs with the same text are one passage. An article is a document. A question that is
    marked impossible has no relevant passage, and is named. Where paragraphs are
    split, the passages that hold the beginning of an answer are relevant.

    Args:
        path: for the dataset's name and messages.
        data: what the file holds.
        split: splits paragraphs; None keeps them whole.

    Raises:
        InputError: something is not as SQuAD has it.
    """
    reading = _Reading(split)
    try:
        for number, article in enumerate(data["data"]):
            for paragraph in article["paragraphs"]:
                title = article.get("title") or paragraph.get("document_id")
                reading.paragraph(paragraph, str(number if title is None else title))
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise InputError(
            f"{path} is not SQuAD-shaped ({type(err).__name__}: {err}); wanted: "
            '{"data": [{"paragraphs": [{"context": ..., "qas": [{"question": ...}]}]}]}'
        ) from err
    return assemble(
        path.name.split(".json")[0], reading.passages, reading.questions, reading.faults
    )


class _Reading:
    def __init__(self, split: SplitText | None) -> None:
        self.passages: list[Chunk] = []
        self.questions: list[Question] = []
        self.faults: list[tuple[FaultKind, str]] = []
        self._split = split
        self._known: dict[str, str] = {}

    def paragraph(self, paragraph: Mapping[str, Any], document: str) -> None:
        text = _text(paragraph["context"])
        spans = [Span(text, 0, len(text))] if self._split is None else self._split(text)
        ids = [self._passage(span.text, document) for span in spans if not is_blank(span.text)]
        if not ids:
            self.faults.append(("blank passage", document))
        for asked in paragraph["qas"]:
            impossible = asked.get("is_impossible") is True  # its paragraph does not answer it
            answers = asked.get("answers") or ()
            relevant = _holding(spans, ids, answers, text) if ids and not impossible else {}
            identity = str(asked.get("id", f"q{len(self.questions)}"))
            question = _text(asked["question"])
            self.questions.append(Question(identity, question, relevant, document))

    def _passage(self, text: str, document: str) -> str:
        if text not in self._known:
            self._known[text] = f"p{len(self._known)}"
            position = len(self.passages)
            self.passages.append(
                Chunk(text, id=self._known[text], source=document, position=position)
            )
        return self._known[text]


def _holding(
    spans: list[Span], ids: list[str], answers: Iterable[Mapping[str, Any]], text: str
) -> dict[str, int]:
    """Return the passages that an answer begins in; of a paragraph that is whole, itself."""
    if len(ids) == 1 and is_blank(text[: spans[0].start] + text[spans[0].end :]):
        return {ids[0]: 1}
    return {
        identity: 1
        for span, identity in zip(spans, ids, strict=True)
        if any(_begins_in(span, answer) for answer in answers)
    }


def _begins_in(span: Span, answer: Mapping[str, Any]) -> bool:
    start = answer.get("answer_start")
    if start is None:  # some files have the words alone
        return _text(answer["text"]) in span.text
    return span.start <= int(start) < span.end


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value
