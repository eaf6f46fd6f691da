"""Readers: a file in, its documents out, one after the other.

========================  ======================================================================
``.txt``                  one document
``.md``, ``.markdown``    one document; its first heading is the metadata ``title``
``.html``, ``.htm``       one document without scripts and styles; ``title`` from ``<title>``
``.pdf``                  a document for every page, ``page`` from 1; ``title`` if it has one
``.jsonl``, ``.ndjson``   a document for every line: ``text`` (or ``content``, ``page_content``),
                          ``id``, ``metadata``; any other key is metadata too
``.csv``, ``.tsv``        a document for every row below the header; the other columns are metadata
========================  ======================================================================
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from trivec.errors import InputError
from trivec.ingest.encodings import encoding_of

__all__ = ["SUFFIXES", "Document", "ReadOptions", "read"]

TEXT_KEYS = ("text", "content", "page_content")
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$", re.MULTILINE)
CSV_SAMPLE = 64 * 1024
CSV_ROWS_LOOKED_AT = 50
CSV_FIELD_LIMIT = 1 << 27
"""The csv module's own limit, 131,072 characters, is less than a long article."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was read: a whole file, a page or a record.

    Attributes:
        text: as it was written; not cleaned, maybe blank.
        id: the record's own id.
        metadata: JSON values.
        markdown: whether the text is Markdown.
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    markdown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How files are read.

    Attributes:
        encoding: of text files. None: a byte order mark's, else UTF-8, else GB18030.
        text_column: the column (csv) or key (jsonl) that holds the text. None: ``text``,
            ``content`` or ``page_content``; a csv without them: the column of the longest values.
    """

    encoding: str | None = None
    text_column: str | None = None


def read(path: str | Path, options: ReadOptions | None = None) -> Iterator[Document]:
    """Yield the documents of a file; records and pages are streamed.

    Args:
        path: the file; its suffix decides the reader.
        options: encoding and text column.

    Raises:
        InputError: no such file, an unknown suffix, or a content that cannot be read.
    """
    path = Path(path)
    reader = SUFFIXES.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} has no suffix that can be read; allowed: {', '.join(SUFFIXES)}")
    try:
        yield from reader(path, options or ReadOptions())
    except OSError as err:
        raise InputError(f"{path} cannot be read: {err.strerror or err}") from err


def _read_text(path: Path, options: ReadOptions) -> Iterator[Document]:
    yield Document(path.read_text(encoding=encoding_of(path, options.encoding)))


def _read_markdown(path: Path, options: ReadOptions) -> Iterator[Document]:
    text = path.read_text(encoding=encoding_of(path, options.encoding))
    heading = HEADING.search(text)
    yield Document(text, metadata={"title": heading[1]} if heading else {}, markdown=True)


def _read_html(path: Path, options: ReadOptions) -> Iterator[Document]:
    from trivec.ingest.html import html_text

    yield Document(*html_text(path, options.encoding))


def _read_pdf(path: Path, options: ReadOptions) -> Iterator[Document]:  # noqa: ARG001  # a reader
    from trivec.ingest.pdf import pdf_pages

    for number, title, text in pdf_pages(path):
        metadata = {"page": number} | ({"title": title} if title else {})
        yield Document(text, metadata=metadata)


def _read_jsonl(path: Path, options: ReadOptions) -> Iterator[Document]:
    with _open(path, options) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _record(line, f"{path}, line {number}", options.text_column)


def _record(line: str, where: str, text_key: str | None) -> Document:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise InputError(f"{where} is not JSON ({err}); every line must be one object") from err
    if not isinstance(record, dict):
        raise InputError(f"{where} is a {type(record).__name__}; every line must be one object")
    keys = TEXT_KEYS if text_key is None else (text_key,)
    key = next((key for key in keys if isinstance(record.get(key), str)), None)
    if key is None:
        raise InputError(f"{where} has no text under {' or '.join(keys)}; it has {sorted(record)}")
    text = record.pop(key)
    identity = record.pop("id", None)
    nested = record.pop("metadata", None)
    metadata = record | nested if isinstance(nested, dict) else record
    if nested is not None and metadata is record:
        metadata["metadata"] = nested
    return Document(text, None if identity in (None, "") else str(identity), metadata)


def _read_csv(path: Path, options: ReadOptions) -> Iterator[Document]:
    csv.field_size_limit(CSV_FIELD_LIMIT)  # the module has only this one, for all of the process
    with _open(path, options) as file:
        dialect = _dialect(path, file)
        rows = csv.DictReader(file, dialect=dialect, restkey="", strict=True)
        try:
            first = list(islice(rows, CSV_ROWS_LOOKED_AT))
            column = _text_column(path, rows.fieldnames or (), first, options.text_column)
            for row in chain(first, rows):
                text = row.pop(column) or ""
                row.pop("", None)  # cells beyond the header
                identity = row.pop("id", None)
                yield Document(text, identity or None, row)
        except csv.Error as err:
            raise InputError(f"{path}, line {rows.line_num}: {err}; mend the file") from err


def _dialect(path: Path, file: TextIO) -> type[csv.Dialect]:
    if path.suffix.lower() == ".tsv":
        return csv.excel_tab
    sample = file.read(CSV_SAMPLE)
    file.seek(0)

    class Dialect(csv.excel):
        # the header alone decides: text is full of commas, and csv.Sniffer trips over it
        delimiter = max(",;\t|", key=sample.partition("\n")[0].count)

    return Dialect


def _text_column(
    path: Path,
    names: Sequence[str],
    rows: Sequence[Mapping[str, str | None]],
    given: str | None,
) -> str:
    if not names:
        return ""
    if given is not None:
        if given not in names:
            raise InputError(f"{path} has no column {given!r}; it has {list(names)}")
        return given
    for name in TEXT_KEYS:
        if name in names:
            return name
    return max(names, key=lambda name: sum(len(row[name] or "") for row in rows))


def _open(path: Path, options: ReadOptions) -> TextIO:
    return path.open(encoding=encoding_of(path, options.encoding), newline="")


Reader: TypeAlias = Callable[[Path, ReadOptions], Iterator[Document]]
"""Yields the documents of a file."""

SUFFIXES: Mapping[str, Reader] = {
    ".txt": _read_text,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".html": _read_html,
    ".htm": _read_html,
    ".pdf": _read_pdf,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
}
"""The formats that are read, by suffix."""
