"""Readers: a file in, its documents out, one after the other.

===============================  ==============================================================
``.txt``                         one document
``.md``, ``.markdown``           one document; front matter is metadata; ``title``
``.mdx``                         the same; its components stay as they are written
``.rst``                         one document; ``title``
``.ipynb``                       one document: the cells as Markdown; ``title``
``.html``, ``.htm``, ``.xhtml``  one document without what a page's readers do not read; ``title``
``.pdf``                         a document for every page; ``title``
``.csv``, ``.tsv``               a document for every row below the header
``.json``                        a document for every record of a list, else one
``.jsonl``, ``.ndjson``          a document for every line
``.docx``, ``.odt``, ``.rtf``    one document; ``title``
``.epub``                        one document; ``title``
``.eml``                         one document; the subject is ``title``
``.pptx``                        a document for every slide
``.xlsx``                        a document for every row of every sheet, below its header
others                           one document, as it is written: see below
===============================  ==============================================================

As they are written: ``.log``, ``.tex``, ``.xml``, ``.yaml``, ``.yml``, ``.toml``, ``.ini``,
``.cfg``, ``.conf``; source code: ``.py``, ``.js``, ``.jsx``, ``.ts``, ``.tsx``, ``.java``,
``.kt``, ``.scala``, ``.c``, ``.h``, ``.cpp``, ``.hpp``, ``.cs``, ``.go``, ``.rs``, ``.rb``,
``.php``, ``.swift``, ``.r``, ``.jl``, ``.lua``, ``.sh``, ``.sql``.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.ingest.documents import Document, LeftOut, OnLeftOut, ReadOptions, log_left_out
from trivec.ingest.formats.csv import csv_documents
from trivec.ingest.formats.encodings import read_text, whole_file
from trivec.ingest.formats.html import html_document
from trivec.ingest.formats.json import json_documents, jsonl_documents
from trivec.ingest.formats.mail import mail_documents
from trivec.ingest.formats.markdown import markdown_document
from trivec.ingest.formats.notebook import notebook_markdown
from trivec.ingest.formats.office import converted_document, sheet_documents, slide_documents
from trivec.ingest.formats.pdf import pdf_documents
from trivec.ingest.formats.rst import rst_document

__all__ = ["SUFFIXES", "Reader", "read"]

Reader: TypeAlias = Callable[[Path, ReadOptions, OnLeftOut], Iterator[Document]]
"""Yields the documents of a file, and reports what it leaves out."""


@checked
def read(
    path: str | Path,
    options: ReadOptions | None = None,
    *,
    on_left_out: OnLeftOut | None = None,
) -> Iterator[Document]:
    """Yield the documents of a file; records and pages are streamed.

    Args:
        path: the file; its suffix decides the reader.
        options: encoding and text columns.
        on_left_out: told of every record or page that cannot be read; the rest goes on. None
            writes it to the log.

    Raises:
        InputError: no such file, an unknown suffix, or a file that cannot be read at all.
        MissingDependencyError: a package that the format needs is not installed.
    """
    path = user_path("path", path)
    reader = SUFFIXES.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} has no suffix that can be read; allowed: {', '.join(SUFFIXES)}")
    try:
        _check_regular(path)
        yield from reader(path, options or ReadOptions(), on_left_out or log_left_out)
    except InputError as err:
        raise InputError(f"{path} cannot be read: {err}") from err
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or err
        raise InputError(f"{path} cannot be read: {reason}") from err


def _check_regular(path: Path) -> None:
    """Refuse pipes and devices, which may never end.

    Raises:
        InputError: the path leads to one of them.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError("it is not a regular file")


def _read_text(path: Path, options: ReadOptions, _: OnLeftOut) -> Iterator[Document]:
    yield Document(read_text(path, options.encoding))


def _read_markdown(path: Path, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    document, complaint = markdown_document(read_text(path, options.encoding))
    if complaint is not None:
        report(LeftOut(path, complaint, "front matter"))
    yield document


def _read_notebook(path: Path, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    document, complaint = markdown_document(notebook_markdown(read_text(path, options.encoding)))
    if complaint is not None:
        report(LeftOut(path, complaint, "front matter"))
    yield document


def _read_rst(path: Path, options: ReadOptions, _: OnLeftOut) -> Iterator[Document]:
    yield rst_document(read_text(path, options.encoding))


def _read_html(path: Path, options: ReadOptions, _: OnLeftOut) -> Iterator[Document]:
    yield html_document(whole_file(path), options.encoding)


def _read_pdf(path: Path, _: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    yield from pdf_documents(path, report)


def _convert(path: Path, _: ReadOptions, __: OnLeftOut) -> Iterator[Document]:
    yield converted_document(path)


def _read_slides(path: Path, _: ReadOptions, __: OnLeftOut) -> Iterator[Document]:
    yield from slide_documents(path)


# fmt: off
AS_WRITTEN = (
    ".log", ".tex", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".py", ".js",
    ".jsx", ".ts", ".tsx", ".java", ".kt", ".scala", ".c", ".h", ".cpp", ".hpp", ".cs",
    ".go", ".rs", ".rb", ".php", ".swift", ".r", ".jl", ".lua", ".sh", ".sql",
)
# fmt: on
"""Suffixes of texts that people read as they are."""

SUFFIXES: Mapping[str, Reader] = {
    ".txt": _read_text,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".mdx": _read_markdown,
    ".rst": _read_rst,
    ".ipynb": _read_notebook,
    ".html": _read_html,
    ".htm": _read_html,
    ".xhtml": _read_html,
    ".pdf": _read_pdf,
    ".csv": csv_documents,
    ".tsv": csv_documents,
    ".json": json_documents,
    ".jsonl": jsonl_documents,
    ".ndjson": jsonl_documents,
    ".docx": _convert,
    ".odt": _convert,
    ".rtf": _convert,
    ".epub": _convert,
    ".eml": mail_documents,
    ".pptx": _read_slides,
    ".xlsx": sheet_documents,
    **dict.fromkeys(AS_WRITTEN, _read_text),
}
"""The formats that are read, by suffix."""
