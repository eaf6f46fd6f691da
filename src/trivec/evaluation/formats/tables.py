"""csv of a question and the passage that answers it, or the passage's id."""

from __future__ import annotations

import csv
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset, FaultKind, Question, assemble
from trivec.text import is_blank
from trivec.types import Chunk

__all__ = ["read_table"]

QUESTION, PASSAGE, IDENTITY = ("question", "query"), ("passage", "text", "answer"), ("id",)
IDENTITY_TOO, DOCUMENT = ("passage_id", "chunk_id"), ("document", "source")


def read_table(path: Path) -> Dataset:
    """Read rows of ``question`` and ``passage`` or ``id``; ``document`` may be a column too.

    With ``id`` alone the passages are those of an index. The rows of one question are all of its
    relevant passages; equal passages are one.

    Raises:
        InputError: a column is missing, or the file is not UTF-8.
    """
    delimiter = "\t" if path.suffix == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, delimiter=delimiter)
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except UnicodeDecodeError as err:
        raise InputError(f"{path} is not UTF-8: {err}") from err
    except csv.Error as err:
        raise InputError(f"{path} is not csv: {err}") from err
    asked = _column(columns, QUESTION)
    text, identity = _column(columns, PASSAGE), _column(columns, (*IDENTITY, *IDENTITY_TOO))
    if asked is None or (text is None and identity is None):
        raise InputError(f"{path} has the columns {columns}; wanted: question, and passage or id")
    return _assembled(path, rows, (asked, text, identity, _column(columns, DOCUMENT)))


def _column(columns: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in columns), None)


def _assembled(
    path: Path,
    rows: list[dict[str, str]],
    names: tuple[str, str | None, str | None, str | None],
) -> Dataset:
    asked, text, identity, document = names
    passages: dict[str, Chunk] = {}
    relevant: dict[str, dict[str, int]] = {}
    sources: dict[str, str] = {}
    faults: list[tuple[FaultKind, str]] = []
    for number, row in enumerate(rows, start=2):
        cells = {name: (row.get(name) or "").strip() for name in names if name is not None}
        question, source = cells[asked], cells.get(document or "", "")
        if is_blank(question):
            faults.append(("blank question", f"line {number}"))
            continue
        words = cells.get(text or "", "")
        known = cells[identity] if identity else ""
        if not (words or known):
            faults.append(("question without a relevant passage", f"line {number}"))
            continue
        if words:
            given = Chunk(words, id=known or f"p{len(passages)}", source=source or None)
            chunk = passages.setdefault(known or words, given)
            known = str(chunk.id)
            if chunk.text != words:
                faults.append(("duplicate passage id", known))
        relevant.setdefault(question, {})[known] = 1
        sources.setdefault(question, source)
    questions = [
        Question(f"q{number}", question, grades, sources[question])
        for number, (question, grades) in enumerate(relevant.items())
    ]
    return assemble(path.stem, passages.values(), questions, faults)
