"""A table of a web page as lines: one row a line, empty cells kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["TableReader", "TableText", "is_layout", "row_line"]

MOST_SPANNED = 100
CELL = 3
"""Characters of an empty cell."""

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6", "table")
BLOCKS = ("p", "div", "ul", "ol", "section", "article")


class TableText(NamedTuple):
    """The lines of a table: those that every piece of it needs, and its rows."""

    opening: str
    rows: list[str]


def is_layout(table: _Element) -> bool:
    """Say whether a table only arranges a page: its cells hold headings, tables or whole texts."""
    if table.get("role", "").strip().lower() in {"presentation", "none"}:
        return True
    if any(True for _ in table.iterdescendants(*HEADINGS)):
        return True
    cells = [cell for _, cell in zip(range(2), table.iterdescendants("td", "th"), strict=False)]
    return len(cells) < 2 and any(True for _ in table.iterdescendants(*BLOCKS))


def row_line(cells: Sequence[str]) -> str:
    """Return a row as a line of a Markdown table."""
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return "|" + "|".join(f" {cell} " if cell else "  " for cell in escaped) + "|"


class TableReader:
    """Reads the tables of one page.

    Args:
        text_of: returns the text of a cell, on one line.
        is_left_out: says which elements are not read.
        most_repeated: characters that spanning cells may add, all together; a page of a few bytes
            could else become gigabytes.
    """

    def __init__(
        self,
        text_of: Callable[[_Element], str],
        is_left_out: Callable[[_Element], bool],
        most_repeated: int,
    ) -> None:
        self._text_of = text_of
        self._is_left_out = is_left_out
        self._budget = most_repeated

    def read(self, table: _Element) -> TableText:
        """Return the lines of a table without tables in it."""
        caption = next((self._text_of(one) for one in table.iterdescendants("caption")), "")
        rows, heads = self._grid(table)
        width = len(rows[heads - 1]) if heads else 0
        for row in rows:
            while len(row) < width and self._affords(""):
                row.append("")
        lines = [row_line(row) for row in rows]
        opening = [caption] if caption else []
        if heads:
            opening += [*lines[:heads], "|" + " --- |" * width]
        return TableText("\n".join(opening), lines[heads:])

    def _grid(self, table: _Element) -> tuple[list[list[str]], int]:
        """Return the cells of every row that has text, and how many of the first are headers."""
        rows: list[list[str]] = []
        heads = 0
        below: dict[int, tuple[str, int]] = {}
        for row in table.iterdescendants("tr"):
            if self._is_left_out(row):
                continue
            cells = [
                cell for cell in row if cell.tag in {"td", "th"} and not self._is_left_out(cell)
            ]
            parent = row.getparent()
            in_head = parent is not None and parent.tag == "thead"
            is_head = (
                len(rows) == heads
                and bool(cells)
                and (in_head or (not rows and all(cell.tag == "th" for cell in cells)))
            )
            texts = self._row(cells, below, is_head=is_head)
            if cells and any(texts):
                rows.append(texts)
                heads += is_head
        return rows, heads if heads < len(rows) else 0

    def _row(
        self, cells: Sequence[_Element], below: dict[int, tuple[str, int]], *, is_head: bool
    ) -> list[str]:
        """Return the texts of a row; a cell over several rows is in each of them."""
        texts: list[str] = []
        waiting = iter(cells)
        cell = next(waiting, None)
        last = max(below, default=-1)
        while cell is not None or len(texts) <= last:
            if cell is None or len(texts) in below:
                text, left = below.pop(len(texts), ("", 1))
                if not self._affords(text):
                    below.clear()
                    last = -1
                    continue
                if left > 1:
                    below[len(texts)] = text, left - 1
                texts.append(text)
                continue
            text = self._text_of(cell)
            across, down = (
                (_span(cell, "colspan"), _span(cell, "rowspan")) if cell.keys() else (1, 1)
            )
            for number in range(across):
                if number and not self._affords(text):
                    break
                shown = text if number == 0 or is_head else ""
                if down > 1:
                    below[len(texts)] = shown, down - 1
                texts.append(shown)
            cell = next(waiting, None)
        return texts

    def _affords(self, text: str) -> bool:
        self._budget -= len(text) + CELL
        return self._budget >= 0


def _span(cell: _Element, name: str) -> int:
    value = (cell.get(name) or "").strip()
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1
    return max(1, number if name == "rowspan" else min(number, MOST_SPANNED))
