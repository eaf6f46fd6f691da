"""Where a table begins: the titles above it, and whether its first row names the columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from trivec.ingest.formats.records import ID_NAME, TEXT_NAMES

__all__ = ["first_row", "is_blank", "names_columns"]

KNOWN_NAMES = frozenset({ID_NAME, *TEXT_NAMES})
NUMBER = re.compile(r"[-+−]?[$€£¥₩₹]?\s?\d[\d.,' ]*(?:[eE][-+]?\d+)?\s?[%$€£¥₩₹元円원]?")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?")
YEARS = range(1800, 2101)

Cells = Sequence[object]


def is_blank(cells: Cells) -> bool:
    """Say whether a row has no cell with anything in it."""
    return _filled(cells) == 0


def first_row(rows: Sequence[Cells]) -> int:
    """Return how many rows stand above a table: titles and remarks, each in a cell or two.

    Args:
        rows: the first rows of a file or sheet.
    """
    widths = Counter(_filled(cells) for cells in rows if not is_blank(cells))
    if not widths:
        return 0
    typical = max(widths, key=lambda width: (widths[width], width))
    for place, cells in enumerate(rows):
        if not is_blank(cells) and not _is_title(cells, typical):
            return place if _are_titles(rows[:place]) else 0
    return 0


def names_columns(cells: Cells, below: Sequence[Cells]) -> bool:
    """Say whether a row names the columns; False where it holds values as the rows below do.

    Years and other numbers in a row, such as months, may be names.
    """
    plain = {str(cell).strip().casefold() for cell in cells}
    if not plain.isdisjoint(KNOWN_NAMES):
        return True
    rows = [row for row in below if not is_blank(row)]
    if not rows:
        return _filled(cells) > 1 and not any(_is_value(cell) for cell in cells)
    values = [place for place, cell in enumerate(cells) if _is_value(cell)]
    if not values:
        return True
    if _is_series(cells, values) and not all(_is_series(row, values) for row in rows):
        return True
    return not all(_mostly_values(place, rows) for place in values)


def _filled(cells: Cells) -> int:
    return sum(cell is not None and bool(str(cell).strip()) for cell in cells)


def _is_title(cells: Cells, typical: int) -> bool:
    """Say whether a row has much less than those of a table: one cell, or two of many."""
    filled = _filled(cells)
    return filled < typical and (filled == 1 or (2 * filled < typical <= len(cells)))


def _are_titles(rows: Sequence[Cells]) -> bool:
    """Say whether rows can be titles: none of them names a column that readers know."""
    names = {str(cell).strip().casefold() for cells in rows for cell in cells}
    return names.isdisjoint(KNOWN_NAMES)


def _is_value(cell: object) -> bool:
    if isinstance(cell, bool):
        return True
    if isinstance(cell, (int, float, date)):
        return True
    text = str(cell or "").strip()
    return bool(NUMBER.fullmatch(text) or ISO_DATE.fullmatch(text))


def _is_series(cells: Cells, places: Sequence[int]) -> bool:
    """Say whether numbers may name columns: years, or each one more than the one before."""
    plain = [str(cells[place]).strip() if place < len(cells) else "" for place in places]
    if not all(text.isascii() and text.isdigit() for text in plain):
        return False
    numbers = [int(text) for text in plain]
    if all(number in YEARS and len(text) == 4 for number, text in zip(numbers, plain, strict=True)):
        return True
    steps = {later - number for number, later in pairwise(numbers)}
    return steps == {1} and len(numbers) > 2


def _mostly_values(place: int, rows: Sequence[Cells]) -> bool:
    cells = [row[place] for row in rows if len(row) > place and row[place] not in {None, ""}]
    return 2 * sum(_is_value(cell) for cell in cells) > len(cells)
