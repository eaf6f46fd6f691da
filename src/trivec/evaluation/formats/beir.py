"""BEIR's folders: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset, assemble
from trivec.evaluation.formats.judgements import grade_of, judged
from trivec.evaluation.formats.opening import COMPRESSED, form_of, read_text
from trivec.types import Chunk

__all__ = ["CORPUS", "QUERIES", "json_lines", "passages_of", "present", "read_beir"]

CORPUS, QUERIES = "corpus.jsonl", "queries.jsonl"

IDENTITY = ("_id", "id")


def read_beir(folder: Path, split: str | None) -> Dataset:
    """Read a folder in BEIR's form; a passage is its title and its text.

    A record's ``source`` or ``document`` is its document, in ``metadata`` too; else it is its own.

    Args:
        folder: with ``queries.jsonl`` and ``qrels``, and ``corpus.jsonl`` unless the passages are
            in an index.
        split: the file in ``qrels``; None is ``test``, or the only one.

    Raises:
        InputError: a file is missing, or cannot be read.
    """
    corpus = present(folder, CORPUS)
    passages = [] if corpus is None else list(passages_of(corpus))
    texts = [
        (_identity(record), str(record.get("text") or ""))
        for record in json_lines(present(folder, QUERIES) or folder / QUERIES)
    ]
    grades = _judgements(_qrels(folder, split))
    return assemble(folder.resolve().name, passages, *judged(texts, grades))


def present(folder: Path, name: str) -> Path | None:
    """Return a file of a folder, compressed or not, if it is there."""
    paths = (folder / name, folder / f"{name}{COMPRESSED}")
    return next((path for path in paths if path.is_file()), None)


def passages_of(path: Path) -> Iterator[Chunk]:
    """Yield the passages of a ``corpus.jsonl``."""
    for position, record in enumerate(json_lines(path)):
        title, text = str(record.get("title") or ""), str(record.get("text") or "")
        about = {**(record.get("metadata") or {}), **record}
        source = about.get("source") or about.get("document")
        yield Chunk(
            f"{title}\n{text}".strip("\n"),
            id=_identity(record),
            source=None if source is None else str(source),
            position=position,
        )


def json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file with one JSON object on each line, each with an id.

    Raises:
        InputError: the file is missing, or a line is not such an object.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; BEIR's form has it")
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as err:
            raise InputError(f"{path}, line {number}, is not JSON: {err}") from err
        if not isinstance(record, dict) or not any(key in record for key in IDENTITY):
            raise InputError(f"{path}, line {number}, is not an object with '_id'")
        yield record


def _identity(record: Mapping[str, Any]) -> str:
    return str(next(record[key] for key in IDENTITY if key in record))


def _qrels(folder: Path, split: str | None) -> Path:
    places = (folder / "qrels", folder) if (folder / "qrels").is_dir() else (folder,)
    found = {
        path.name.split(".")[0]: path
        for place in reversed(places)
        for path in sorted(place.glob("*.tsv*"))
        if form_of(path) == ".tsv"
    }
    names = sorted(found)
    wanted = split or ("test" if "test" in names else names[0] if len(names) == 1 else None)
    if wanted not in found:
        raise InputError(
            f"split={split!r}; {places[0]} has {names or 'no *.tsv'}; name one of them"
        )
    return found[wanted]


def _judgements(path: Path) -> list[tuple[str, str, int]]:
    grades = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        row = line.split("\t")
        if not line.strip() or (number == 1 and not row[-1].strip().lstrip("-")[:1].isdigit()):
            continue  # blank, or the names of the columns
        if len(row) not in (3, 4):  # TREC's has an iteration between the ids
            raise InputError(f"{path}, line {number}: {row}; wanted: query-id, corpus-id, score")
        grades.append((row[0].strip(), row[-2].strip(), grade_of(row[-1], path, number)))
    return grades
