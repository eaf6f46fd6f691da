"""TREC's files: topics, qrels, and documents between tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset, assemble
from trivec.evaluation.formats.beir import passages_of
from trivec.evaluation.formats.judgements import grade_of, judged
from trivec.evaluation.formats.opening import form_of, read_text
from trivec.types import Chunk

__all__ = ["QRELS", "read_trec"]

QRELS, TOPICS, DOCUMENTS = "qrels*", ("topics*", "queries*"), ("documents*", "corpus*", "docs*")

_TAG = re.compile(r"<(/?)(top|num|title|desc|narr|doc|docno|text|head|headline)>", re.IGNORECASE)
_TOPIC = re.compile(
    r"<topic\b[^>]*\bnumber\s*=\s*[\"']([^\"']+)[\"'][^>]*>(.*?)</topic>", re.IGNORECASE | re.DOTALL
)
_FIELD = re.compile(r"<(\w+)>(.*?)</\1>", re.DOTALL)
_ANY_TAG = re.compile(r"<[^<>]*>")
ASKED = ("query", "title", "question", "description")
"""Parts of a topic that may be asked; the first that is there is."""

_LABEL = re.compile(r"^\s*(?:Number|Topic)\s*:", re.IGNORECASE)


def read_trec(folder: Path) -> Dataset:
    """Read a folder with TREC's files.

    - ``qrels*``: lines of topic, iteration, document, grade.
    - ``topics*`` or ``queries*``: ``<top>`` elements, whose title is asked, elements of
      ``<topic number="1">``, or lines of id, tab, text.
    - ``documents*``, ``corpus*`` or ``docs*``: ``<DOC>`` elements, lines of id, tab, text, or
      BEIR's JSON lines. None where the passages are in an index.

    Raises:
        InputError: a file is missing, or cannot be read.
    """
    topics = list(_topics(_only(folder, *TOPICS)))
    grades = list(_judgements(_only(folder, QRELS)))
    documents = _files(folder, *DOCUMENTS)
    passages = [chunk for path in documents for chunk in _documents(path)]
    return assemble(folder.name, passages, *judged(topics, grades))


def _files(folder: Path, *patterns: str) -> list[Path]:
    return sorted(path for one in patterns for path in folder.glob(one) if path.is_file())


def _only(folder: Path, *patterns: str) -> Path:
    files = _files(folder, *patterns)
    if len(files) != 1:
        names = [path.name for path in files]
        raise InputError(f"{folder} has {names or 'no'} {' or '.join(patterns)}; keep exactly one")
    return files[0]


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            topic, _, document, grade = line.split()
        except ValueError as err:
            raise InputError(
                f"{path}, line {number}: {line!r}; wanted: topic, iteration, document, grade"
            ) from err
        yield topic, document, grade_of(grade, path, number)


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    text = read_text(path)
    if _TOPIC.search(text):
        yield from _numbered_topics(text)
        return
    if "<top>" not in text.lower():
        yield from _lines(path, text)
        return
    for fields in _elements(text, "top"):
        number = _LABEL.sub("", fields.get("num", "")).strip()
        yield number, _LABEL.sub("", fields.get("title", "")).strip()


def _numbered_topics(text: str) -> Iterator[tuple[str, str]]:
    """Yield the topics of ``<topic number="1">``, as later tracks write them."""
    for number, body in _TOPIC.findall(text):
        fields = {name.lower(): words for name, words in _FIELD.findall(body)}
        words = next((fields[name] for name in ASKED if fields.get(name)), _ANY_TAG.sub(" ", body))
        yield number.strip(), unescape(" ".join(words.split()))


def _documents(path: Path) -> Iterator[Chunk]:
    if form_of(path) in {".jsonl", ".json"}:
        yield from passages_of(path)
        return
    text = read_text(path)
    if "<doc>" not in text.lower():
        yield from (Chunk(words, id=identity) for identity, words in _lines(path, text))
        return
    for position, fields in enumerate(_elements(text, "doc")):
        parts = (fields.get(name, "").strip() for name in ("title", "head", "headline", "text"))
        words = "\n".join(part for part in parts if part)
        yield Chunk(words, id=fields.get("docno", "").strip(), position=position)


def _lines(path: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        identity, tab, words = line.partition("\t")
        if tab:
            yield identity.strip(), words.strip()
        elif line.strip():
            raise InputError(f"{path}, line {number}: {line!r}; wanted: id, tab, text")


def _elements(text: str, outer: str) -> Iterator[dict[str, str]]:
    """Yield the fields of every ``<outer>``; old files leave inner tags open."""
    fields: dict[str, str] = {}
    tags = list(_TAG.finditer(text))
    for tag, following in zip(tags, [*tags[1:], None], strict=True):
        closing, name = tag[1], tag[2].lower()
        if name == outer:
            if closing and fields:
                yield fields
            fields = {}
        elif not closing:
            end = following.start() if following else len(text)
            fields[name] = (fields.get(name, "") + "\n" + text[tag.end() : end]).strip("\n")
