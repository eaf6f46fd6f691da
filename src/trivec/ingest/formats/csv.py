"""CSV files: rows as records, whatever separates them; a broken row costs no other."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TextIO, TypeAlias

from trivec.errors import InputError
from trivec.ingest.documents import Document, LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.formats.encodings import encoding_of
from trivec.ingest.formats.records import Fields, readable
from trivec.ingest.formats.table_header import first_row, is_blank, names_columns

__all__ = ["Row", "csv_documents", "table_documents", "unique_names"]

logger = logging.getLogger(__name__)

DELIMITERS = "\t;|,"
"""Those first that stand in no number and little prose; of two that part alike the first wins."""

UNIT_SEPARATOR = "\x1f"
SAMPLE = 50
MOST_TITLES = 10
"""Lines above a table that are passed in the search for its delimiter."""

FIELD_LIMIT = 1 << 27
"""The csv module's own limit, 131,072 characters, is less than a long article."""

LONGEST_ROW = 10_000
MOST_READ_AGAIN = 1_000_000
"""Lines of one row, and lines of a file that are read again after a broken row."""


Parser: TypeAlias = Callable[[Iterable[str]], Iterator[list[str]]]


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
        parse = _parser(delimiter, lines.ahead(SAMPLE))
        rows = _rows(lines, parse, lambda where, why: report(LeftOut(path, why, where)))
        yield from table_documents(path, rows, options, report)


def table_documents(
    path: Path, rows: Iterator[Row], options: ReadOptions, report: OnLeftOut
) -> Iterator[Document]:
    """Yield a document for every row of a table, and for every row above it.

    The first row names the columns, unless it holds values as the rows below do.

    Raises:
        InputError: a column that was asked for is not there.
    """
    first = list(islice((row for row in rows if not is_blank(row.cells)), SAMPLE))
    begin = first_row([row.cells for row in first])
    for row in first[:begin]:
        words = [readable(cell).strip() for cell in row.cells if cell is not None]
        text = " ".join(word for word in words if word)
        yield Document(text, origin={"row": row.number}, where=row.where)
    table = first[begin:]
    if not table:
        return
    header, below = table[0].cells, [row.cells for row in table[1:]]
    named = options.text_columns is not None or names_columns(header, below)
    if not named:
        logger.warning(
            "%s: its first row holds values, so its columns are called 'column 1' and so on", path
        )
    names = unique_names(header if named else [None] * max(map(len, [header, *below])))
    fields = Fields.of(names, options.text_columns, labelled=named)
    if fields.alone and options.text_columns is None and (beside := fields.beside(names)):
        logger.warning(
            "%s: the column %r alone is searched, and %s are metadata; name more text columns to "
            "search them",
            path,
            fields.searched[0],
            beside,
        )
    for row in chain(table[1:] if named else table, rows):
        if is_blank(row.cells):
            continue
        surplus = row.cells[len(names) :]
        if not is_blank(surplus):
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
    """Return what parts as many rows as possible into as many cells as the header has.

    Where it parts no header, the table may begin below some titles.
    """
    tables = [sample, *(sample[above:] for above in range(1, min(MOST_TITLES, len(sample)) + 1))]
    for above, lines in enumerate(tables):
        best, best_score = UNIT_SEPARATOR, (0.0, 0)
        for delimiter in DELIMITERS:
            widths = _widths(lines, delimiter)
            width = widths[0] if widths else 0
            if width > 1 and (not above or _is_plain_table(lines, delimiter, widths)):
                score = (widths.count(width) / len(widths), width)
                if score > best_score:
                    best, best_score = delimiter, score
        if best != UNIT_SEPARATOR:
            return best
    return UNIT_SEPARATOR


def _widths(lines: Sequence[str], delimiter: str) -> list[int]:
    try:
        return [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return []


def _is_plain_table(lines: Sequence[str], delimiter: str, widths: Sequence[int]) -> bool:
    """Say whether lines are no prose: all are parted alike, and not by a comma and a space."""
    return (
        len(widths) > 1
        and len(set(widths)) == 1
        and not any(f"{delimiter} " in line for line in lines)
    )


def _parser(delimiter: str, sample: Sequence[str]) -> Parser:
    """Return what parts lines into cells; where spaces stand before a quote, they are passed."""
    spaced = any(f'{delimiter} "' in line for line in sample)
    return partial(csv.reader, delimiter=delimiter, strict=True, skipinitialspace=spaced)


def _rows(
    lines: _Lines,
    parse: Parser,
    report: Callable[[str, str], None],
) -> Iterator[Row]:
    width = number = 0
    while True:
        lines.begin()
        where = f"line {lines.number + 1}"
        try:
            cells = next(parse(lines))
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
        width = width if width > 1 else len(cells)  # a title above the table has one cell
        yield Row(cells, number, where)


def _go_on(lines: _Lines, where: str, reason: str, report: Callable[[str, str], None]) -> bool:
    """Report a broken row and go on with the line after its first; say whether that is done."""
    lines.back_to_second()
    if lines.read_again > MOST_READ_AGAIN:
        report(where, f"{reason}; too many rows are broken, so the rest of the file is left out")
        return False
    report(where, f"{reason}; mend the row")
    return True
