"""CSV files: rows as records, whatever separates them; a broken row costs no other."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from trivec.errors import InputError
from trivec.ingest.documents import Document, LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.formats.encodings import encoding_of
from trivec.ingest.formats.records import Fields

__all__ = ["Row", "csv_documents", "table_documents", "unique_names"]

logger = logging.getLogger(__name__)

DELIMITERS = ",;\t|"
UNIT_SEPARATOR = "\x1f"
SAMPLE = 50
FIELD_LIMIT = 1 << 27
"""The csv module's own limit, 131,072 characters, is less than a long article."""

LONGEST_ROW = 10_000
MOST_READ_AGAIN = 1_000_000
"""Lines of one row, and lines of a file that are read again after a broken row."""


class Row(NamedTuple):
    """The cells of a row and the numbers it goes by.

    Attributes:
        cells: one for every column.
        number: of the row, as a spreadsheet counts.
        where: the same for messages.
    """

    cells: Sequence[object]
    number: int
    where: str


def csv_documents(path: Path, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    """Yield a document for every row below the header.

    Raises:
        InputError: the encoding is not sure, or a column that was asked for is not there.
    """
    csv.field_size_limit(FIELD_LIMIT)  # the module has only this one, for all of the process
    encoding = encoding_of(path, options.encoding)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as file:
        lines = _Lines(file)
        delimiter = _declared(lines) or (
            "\t" if path.suffix.lower() == ".tsv" else _delimiter(lines.ahead(SAMPLE))
        )
        rows = _rows(lines, delimiter, lambda where, why: report(LeftOut(path, why, where)))
        yield from table_documents(path, rows, options, report)


def table_documents(
    path: Path, rows: Iterator[Row], options: ReadOptions, report: OnLeftOut
) -> Iterator[Document]:
    """Yield a document for every row of a table below its first, which names the columns.

    Raises:
        InputError: a column that was asked for is not there.
    """
    header = next((row for row in rows if not _is_blank(row.cells)), None)
    if header is None:
        return
    names = unique_names(header.cells)
    fields = Fields.of(names, options.text_columns)
    if fields.alone and options.text_columns is None and (beside := fields.beside(names)):
        logger.warning(
            "%s: the column %r alone is searched, and %s are metadata; name more text columns to "
            "search them",
            path,
            fields.searched[0],
            beside,
        )
    for row in rows:
        if _is_blank(row.cells):
            continue
        surplus = row.cells[len(names) :]
        if not _is_blank(surplus):
            width = f"it has {len(row.cells)} cells, and the header names {len(names)} columns"
            report(LeftOut(path, f"{width}; quote the values", row.where))
            continue
        cells = [*row.cells, *[None] * (len(names) - len(row.cells))]
        try:
            values = dict(zip(names, cells, strict=False))
            yield fields.document(values, row.where, row.number)
        except InputError as err:
            report(LeftOut(path, str(err), row.where))


def unique_names(cells: Iterable[object]) -> list[str]:
    """Return the names of columns: each once, and none blank."""
    names: list[str] = []
    seen: set[str] = set()
    for number, cell in enumerate(cells, 1):
        plain = "" if cell is None else str(cell).strip()
        name = plain or f"column {number}"
        if name in seen:
            name = f"{name} ({number})"
        seen.add(name)
        names.append(name)
    return names


class _Lines:
    """The lines of a file; those of the row at hand can be read again."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: list[str] = []  # in reverse
        self._row: list[str] = []
        self.number = 0
        self.read_again = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self._row) > LONGEST_ROW:
            raise csv.Error(f"a quote is not closed within {LONGEST_ROW:,} lines")
        line = self._waiting.pop() if self._waiting else next(self._file)
        self._row.append(line)
        self.number += 1
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def begin(self) -> None:
        self._row.clear()

    def lines_of_row(self) -> int:
        return len(self._row)

    def back_to_second(self) -> None:
        """Read the row's lines again, but for the first."""
        again = self._row[1:]
        self._waiting.extend(reversed(again))
        self.number -= len(again)
        self.read_again += len(again)
        self._row.clear()

    def ahead(self, count: int) -> list[str]:
        """Return the next lines without passing them."""
        known = self._waiting[::-1]
        lines = known + list(islice(self._file, max(0, count - len(known))))
        self._waiting = lines[::-1]
        return [line.removeprefix("\ufeff") for line in lines]


def _declared(lines: _Lines) -> str | None:
    """Pass a first line such as ``sep=;`` and return what it declares."""
    for first in lines.ahead(1):
        declaration = first.strip().strip('"').lower()
        if declaration.startswith("sep=") and len(first.strip().strip('"')) <= len("sep=") + 1:
            next(lines)
            return first.strip("\r\n").strip('"')[len("sep=") :] or ","
    return None


def _delimiter(sample: Sequence[str]) -> str:
    """Return what parts as many rows as possible into as many cells as the header has."""
    best, best_score = UNIT_SEPARATOR, (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        if width > 1:
            score = (sum(len(row) == width for row in rows) / len(rows), width)
            best, best_score = max((best, best_score), (delimiter, score), key=lambda one: one[1])
    return best


def _rows(lines: _Lines, delimiter: str, report: Callable[[str, str], None]) -> Iterator[Row]:
    width = number = 0
    while True:
        lines.begin()
        where = f"line {lines.number + 1}"
        try:
            cells = next(csv.reader(lines, delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error as err:
            if not _go_on(lines, where, str(err), report):
                return
            number += 1
            continue
        number += 1
        if width and len(cells) > width and lines.lines_of_row() > 1:
            if not _go_on(lines, where, "a quote in it is not closed", report):
                return
            continue
        width = width or len(cells)
        yield Row(cells, number, where)


def _go_on(lines: _Lines, where: str, reason: str, report: Callable[[str, str], None]) -> bool:
    """Report a broken row and go on with the line after its first; say whether that is done."""
    lines.back_to_second()
    if lines.read_again > MOST_READ_AGAIN:
        report(where, f"{reason}; too many rows are broken, so the rest of the file is left out")
        return False
    report(where, f"{reason}; mend the row")
    return True


def _is_blank(cells: Sequence[object]) -> bool:
    return all(cell is None or not str(cell).strip() for cell in cells)
