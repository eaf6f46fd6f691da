"""Tables of a question and the passage that answers it, or the passage's id."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset, FaultKind, Question, assemble
from trivec.evaluation.formats.opening import form_of, read_text
from trivec.text import is_blank
from trivec.types import Chunk

__all__ = ["TABLES", "read_table"]

TABLES = (".csv", ".tsv", ".jsonl")

QUESTION = ("question", "query", "user_input", "问题", "提问", "問題")
PASSAGE = ("passage", "text", "context", "chunk", "positive", "段落", "原文", "正文", "上下文")
ANSWER = ("answer", "答案")
IDENTITY = ("passage_id", "chunk_id", "doc_id", "docid", "corpus_id", "id", "段落编号", "编号")
DOCUMENT = ("document", "source", "file", "文档", "来源", "文件")

DELIMITERS = ",;\t|"
LONGEST_CELL = 100_000_000


def read_table(path: Path) -> Dataset:
    """Read rows of a question and its passage or the passage's id; its document may stand there.

    The columns may have any of the names above, in any case. What stands between them is found
    from the first line. With an id alone the passages are those of an index. The rows of one
    question are all of its relevant passages; equal passages are one.

    Raises:
        InputError: a column is missing, or the file cannot be read.
    """
    if form_of(path) == ".jsonl":
        columns, rows = _json_rows(path)
    else:
        columns, rows = _csv_rows(path)
    asked = _column(columns, QUESTION)
    text = _column(columns, (*PASSAGE, *ANSWER))
    identity = _column(columns, IDENTITY)
    if asked is None or (text is None and identity is None):
        raise InputError(f"{path} has the columns {columns}; wanted: question, and passage or id")
    reading = _Reading(asked, text, identity, _column(columns, DOCUMENT))
    for number, row in rows:
        reading.row(number, row)
    name = path.name.removesuffix(".gz").rpartition(".")[0]
    return reading.dataset(name)


def _csv_rows(path: Path) -> tuple[list[str], list[tuple[int, Mapping[str, str]]]]:
    text = read_text(path)
    delimiter = "\t" if form_of(path) == ".tsv" else _delimiter(text.lstrip().partition("\n")[0])
    try:
        with _long_cells():
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
            columns = [_named(name) for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            return columns, [(reader.line_num, row) for row in reader]
    except csv.Error as err:
        raise InputError(f"{path} is not csv: {err}") from err


def _delimiter(head: str) -> str:
    """Return what stands around the name of the questions' column."""
    for delimiter in DELIMITERS:
        if any(_named(name.strip().strip('"')) in QUESTION for name in head.split(delimiter)):
            return delimiter
    return max(DELIMITERS, key=head.count)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells be longer than the 131,072 characters that the module allows by itself."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _json_rows(path: Path) -> tuple[list[str], list[tuple[int, Mapping[str, str]]]]:
    columns: dict[str, None] = {}
    rows: list[tuple[int, Mapping[str, str]]] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as err:
            raise InputError(f"{path}, line {number}, is not JSON: {err}") from err
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}, is not an object")
        row = {_named(name): _cell(value) for name, value in record.items()}
        columns.update(dict.fromkeys(row))
        rows.append((number, row))
    return list(columns), rows


def _named(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


@dataclass(slots=True)
class _Reading:
    """The rows so far, and the columns that they are read from."""

    asked: str
    text: str | None
    identity: str | None
    document: str | None
    passages: dict[str, Chunk] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    relevant: dict[str, dict[str, int]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[FaultKind, str]] = field(default_factory=list)

    def row(self, number: int, row: Mapping[str, str]) -> None:
        """Read a row; what cannot be used is named."""
        question, words, known, source = (
            (row.get(name or "") or "").strip()
            for name in (self.asked, self.text, self.identity, self.document)
        )
        if is_blank(question):
            self.faults.append(("blank question", f"line {number}"))
        elif not (words or known):
            self.faults.append(("question without a relevant passage", f"line {number}"))
        else:
            key = self._passage(words, known, source) if words else known
            self.relevant.setdefault(question, {})[key] = 1
            self.sources.setdefault(question, source)

    def _passage(self, words: str, known: str, source: str) -> str:
        """Keep a passage; return the id that it has."""
        key = self.ids.setdefault(words, known or f"p{len(self.ids)}")
        if known and key != known:
            self.faults.append(("the same passage under two ids", known))
        chunk = self.passages.setdefault(key, Chunk(words, id=key, source=source or None))
        if chunk.text != words:
            self.faults.append(("duplicate passage id", key))
        return key

    def dataset(self, name: str) -> Dataset:
        """Return what was read."""
        questions = [
            Question(f"q{number}", question, grades, self.sources[question])
            for number, (question, grades) in enumerate(self.relevant.items())
        ]
        return assemble(name, self.passages.values(), questions, self.faults)
