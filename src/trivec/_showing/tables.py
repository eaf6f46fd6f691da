"""Tables and bars of plain HTML, with inline styles alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from trivec._showing.texts import visible

__all__ = ["bar", "figures", "note", "number", "table"]

WIDTH = 120
"""Pixels of the longest bar."""

COLOURS = {"dense": "#4a86e0", "sparse": "#2f9e6b", "colbert": "#9a63d1"}
OTHER = "#d98a1f"

CELL = "text-align:left;vertical-align:top;padding:4px 10px;color:inherit;background:transparent"
SOFT = "opacity:.7;font-size:.9em"


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure as a table shows it; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def note(html: str) -> str:
    """Return HTML as a line of lesser weight."""
    return f'<div style="{SOFT}">{html}</div>'


def bar(parts: Iterable[tuple[str, float]], most: float) -> str:
    """Return a bar of named parts in their colours.

    Args:
        parts: an arm's name and its length; what is negative or no number has none.
        most: the length of the longest bar of the column.
    """
    drawn = []
    for name, length in parts:
        share = length / most if math.isfinite(length) and most > 0 else 0.0
        width = WIDTH * max(0.0, min(share, 1.0))
        if width:
            colour = COLOURS.get(name, OTHER)
            style = f"display:inline-block;height:.55em;width:{width:.1f}px;background:{colour}"
            drawn.append(f'<span style="{style}" title="{visible_name(name)}"></span>')
    return f'<span style="white-space:nowrap" aria-hidden="true">{"".join(drawn)}</span>'


def visible_name(name: str) -> str:
    """Return a name for an attribute: letters, digits and a few signs of it."""
    return "".join(sign for sign in name if sign.isalnum() or sign in " -_.=,")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> str:
    """Return a table; its cells are HTML already, its heads and its title are text."""
    lines = ['<table style="border-collapse:collapse;color:inherit">']
    if title:
        style = "text-align:left;white-space:nowrap;padding:4px 10px;color:inherit"
        lines.append(f'<caption style="{style}">{visible(title)}</caption>')
    if heads:
        cells = "".join(f'<th scope="col" style="{CELL}">{visible(head)}</th>' for head in heads)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        cells = "".join(f'<td style="{CELL}">{cell}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    lines.append("</tbody></table>")
    return "\n".join(lines)


def figures(values: Iterable[tuple[str, object]], title: str) -> str:
    """Return a table of names and values, both of them text."""
    return table((), [(visible(name), visible(value)) for name, value in values], title)
