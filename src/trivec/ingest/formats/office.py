"""Office documents, books and mail: Kreuzberg writes them as Markdown; slides and sheets here."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.ingest.documents import Block, Document, LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.formats.csv import Row, table_documents
from trivec.ingest.formats.encodings import check_size
from trivec.ingest.formats.html_tables import row_line
from trivec.ingest.formats.markdown import markdown_document
from trivec.ingest.formats.packages import needs

__all__ = ["converted_document", "sheet_documents", "slide_documents"]

EXTRA = "documents"
LARGEST_CONTENT = 1 << 30
"""Bytes that the parts of a packed file may have unpacked."""

LARGEST_MERGED = 1 << 25
"""Bytes of a sheet whose merged cells are looked for."""


def converted_document(path: Path) -> Document:
    """Return a file that Kreuzberg reads as a Markdown document.

    Raises:
        InputError: it is damaged, encrypted or too large.
    """
    with needs(EXTRA):
        import kreuzberg

    _check_package(path)
    config = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False)
    try:
        result = kreuzberg.extract_file_sync(path, config=config)
    except Exception as err:
        raise _unreadable(path, err) from err
    title = " ".join(str(result.metadata.get("title") or "").split())
    document, _ = markdown_document(result.content)
    titles = {"title": title} if title else {}
    return Document(
        document.text,
        metadata={**document.metadata, **titles},
        blocks=document.blocks,
        markdown=True,
    )


def slide_documents(path: Path) -> Iterator[Document]:
    """Yield a document for every slide: its title as heading, its text, tables and notes.

    Raises:
        InputError: the file is damaged, encrypted or too large.
    """
    with needs(EXTRA):
        import pptx

    _check_package(path)
    try:
        presentation = pptx.Presentation(str(path))
        title = " ".join((presentation.core_properties.title or "").split())
        for number, slide in enumerate(presentation.slides, 1):
            yield _slide(slide, number, "" if title == "PowerPoint Presentation" else title)
    except InputError:
        raise
    except Exception as err:
        raise _unreadable(path, err) from err


def sheet_documents(path: Path, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    """Yield a document for every row of every sheet below the one that names the columns.

    Raises:
        InputError: the file is damaged, encrypted or too large.
    """
    with needs(EXTRA):
        import openpyxl

    _check_package(path)
    try:
        book = openpyxl.load_workbook(
            path, read_only=not _has_merged_cells(path), data_only=True, keep_links=False
        )
        try:
            for sheet in book.worksheets:
                yield from _sheet(path, sheet, options, report)
        finally:
            book.close()
    except InputError:
        raise
    except Exception as err:
        raise _unreadable(path, err) from err


def _unreadable(path: Path, err: Exception) -> InputError:
    reason = " ".join(str(err).split()) or type(err).__name__
    kind = path.suffix.lstrip(".").lower()
    return InputError(f"it cannot be read as {kind} ({reason}); save it anew, or mend it")


def _check_package(path: Path) -> None:
    """Refuse what would fill the memory when it is unpacked, and what is encrypted.

    Raises:
        InputError: the file is one of these.
    """
    check_size(path)
    with path.open("rb") as file:
        head = file.read(8)
    if head == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise InputError("it is encrypted, or of an old format; save it anew without a password")
    if not head.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(path) as package:
            size = sum(part.file_size for part in package.infolist())
    except zipfile.BadZipFile as err:
        raise _unreadable(path, err) from err
    if size > LARGEST_CONTENT:
        raise InputError(f"it unpacks to {size:,} bytes; at most {LARGEST_CONTENT:,} are read")


def _has_merged_cells(path: Path) -> bool:
    """Say whether a sheet merges cells, which can only be known of sheets that are read whole."""
    with zipfile.ZipFile(path) as package:
        sheets = [
            part
            for part in package.infolist()
            if part.filename.startswith("xl/worksheets/") and part.file_size <= LARGEST_MERGED
        ]
        return any(b"<mergeCell " in package.read(part) for part in sheets)


class _Writer:
    """Writes a text and remembers its blocks."""

    def __init__(self) -> None:
        self.text = ""
        self.blocks: list[Block] = []

    def add(self, text: str, kind: Any = "text", **more: Any) -> None:
        if not text.strip():
            return
        self.text += ("\n\n" if self.text else "") + text
        end = len(self.text)
        self.blocks.append(Block(end - len(text), end, kind, **more))


def _slide(slide: Any, number: int, title: str) -> Document:
    writer = _Writer()
    heading = slide.shapes.title
    words = "" if heading is None else " ".join(heading.text_frame.text.split())
    if words:
        writer.add(words, "heading", level=1, title=words)
    for shape in _shapes(slide.shapes):
        if heading is None or shape.shape_id != heading.shape_id:
            _shape(shape, writer)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        writer.add(slide.notes_slide.notes_text_frame.text.replace("\v", "\n"))
    return Document(
        writer.text,
        metadata={"title": title} if title else {},
        blocks=tuple(writer.blocks),
        origin={"slide": number},
        where=f"slide {number}",
    )


def _shapes(shapes: Any) -> Iterator[Any]:
    waiting = [iter(shapes)]
    while waiting:
        shape = next(waiting[-1], None)
        if shape is None:
            waiting.pop()
        elif hasattr(shape, "shapes"):
            waiting.append(iter(shape.shapes))
        else:
            yield shape


def _shape(shape: Any, writer: _Writer) -> None:
    if getattr(shape, "has_table", False) and shape.has_table:
        rows = [
            row_line([" ".join(cell.text.split()) for cell in row.cells])
            for row in shape.table.rows
        ]
        if rows:
            rule = "|" + " --- |" * len(shape.table.columns)
            writer.add("\n".join([rows[0], rule, *rows[1:]]), "table", opening=f"{rows[0]}\n{rule}")
    elif shape.has_text_frame:
        writer.add(shape.text_frame.text.replace("\v", "\n"))


def _sheet(path: Path, sheet: Any, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    place = f"sheet {sheet.title!r}"

    def say(left_out: LeftOut) -> None:
        report(LeftOut(path, left_out.reason, f"{place}, {left_out.where}"))

    blank = True
    for document in table_documents(path, _sheet_rows(sheet), options, say):
        blank = False
        yield Document(
            document.text,
            document.id,
            document.metadata,
            origin={"sheet": sheet.title, **document.origin},
            where=f"{place}, {document.where}",
        )
    if blank and any(any(cells) for cells in sheet.iter_rows(values_only=True)):
        report(LeftOut(path, "it holds no row below its header", place, expected=True))


def _sheet_rows(sheet: Any) -> Iterator[Row]:
    merged = _merged_values(sheet)
    for number, cells in enumerate(sheet.iter_rows(min_row=1, values_only=True), 1):
        values = [merged.get((number, column), cell) for column, cell in enumerate(cells, 1)]
        yield Row([_cell(cell) for cell in _trimmed(values)], number, f"row {number}")


def _merged_values(sheet: Any) -> dict[tuple[int, int], Any]:
    """Return the value of every cell of an area that is merged downwards, by row and column."""
    merged: dict[tuple[int, int], Any] = {}
    for area in getattr(getattr(sheet, "merged_cells", None), "ranges", ()):
        if area.max_row > area.min_row:
            value = sheet.cell(area.min_row, area.min_col).value
            merged |= dict.fromkeys(
                ((row, area.min_col) for row in range(area.min_row, area.max_row + 1)), value
            )
    return merged


def _trimmed(cells: Sequence[Any]) -> Sequence[Any]:
    width = len(cells)
    while width and cells[width - 1] is None:
        width -= 1
    return cells[:width]


def _cell(value: Any) -> Any:
    """Return a cell's value as JSON has it; midnight is a day without time."""
    conversions: dict[type, Callable[[Any], str]] = {datetime: _day, date: str, time: str}
    convert = conversions.get(type(value))
    if convert is not None:
        return convert(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _day(value: datetime) -> str:
    return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
