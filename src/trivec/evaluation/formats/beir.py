"""BEIR's folders: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset, assemble
from trivec.evaluation.formats.judgements import judged
from trivec.types import Chunk

__all__ = ["CORPUS", "QUERIES", "json_lines", "passages_of", "read_beir"]

CORPUS, QUERIES = "corpus.jsonl", "queries.jsonl"


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
    corpus = folder / CORPUS
    passages = list(passages_of(corpus)) if corpus.is_file() else []
    texts = {
        str(record["_id"]): str(record.get("text", ""))
        for record in json_lines(folder / QUERIES, "_id")
    }
    grades = _judgements(_qrels(folder / "qrels", split))
    return assemble(folder.name, passages, *judged(texts, grades))


def passages_of(path: Path) -> Iterator[Chunk]:
    """Yield the passages of a ``corpus.jsonl``."""
    for position, record in enumerate(json_lines(path, "_id")):
        title, text = str(record.get("title") or ""), str(record.get("text") or "")
        about = {**(record.get("metadata") or {}), **record}
        source = about.get("source") or about.get("document")
        yield Chunk(
            f"{title}\n{text}".strip("\n"),
            id=str(record["_id"]),
            source=None if source is None else str(source),
            position=position,
        )


def json_lines(path: Path, needed: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file with one JSON object on each line.

    Raises:
        InputError: the file is missing, or a line is not such an object.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as err:
                    raise InputError(f"{path}, line {number}, is not JSON: {err}") from err
                if not isinstance(record, dict) or needed not in record:
                    raise InputError(f"{path}, line {number}, is not an object with {needed!r}")
                yield record
    except FileNotFoundError as err:
        raise InputError(f"{path} does not exist; BEIR's form has it") from err
    except UnicodeDecodeError as err:
        raise InputError(f"{path} is not UTF-8: {err}") from err


def _qrels(folder: Path, split: str | None) -> Path:
    names = sorted(path.stem for path in folder.glob("*.tsv"))
    wanted = split or ("test" if "test" in names else names[0] if len(names) == 1 else None)
    if wanted not in names:
        raise InputError(f"split={split!r}; {folder} has {names or 'no *.tsv'}; name one of them")
    return folder / f"{wanted}.tsv"


def _judgements(path: Path) -> list[tuple[str, str, int]]:
    grades = []
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines, delimiter="\t"), start=1):
            if number == 1 and row and not row[-1].lstrip("-").isdigit():
                continue  # the names of the columns
            if not row:
                continue
            try:
                question, passage, grade = row
                grades.append((question, passage, int(grade)))
            except ValueError as err:
                raise InputError(
                    f"{path}, line {number}: {row}; wanted: query-id, corpus-id, score"
                ) from err
    return grades
