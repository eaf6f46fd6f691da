"""Passages that were found, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trivec._showing.tables import bar, note, number, table
from trivec._showing.texts import excerpt, visible

__all__ = ["Row", "passages_table"]

SHOWN = 50
"""Passages of a table; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """A passage of a table.

    Attributes:
        number: what it is called by.
        text: the passage.
        origin: its id and what it came from.
        score: what the order follows.
        words: what query and passage share.
        arms: the exact score of each arm.
        parts: what each arm added to the score.
        notes: lines below the passage.
    """

    number: str
    text: str
    origin: str
    score: float
    words: tuple[str, ...] = ()
    arms: tuple[tuple[str, float], ...] = ()
    parts: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()


def passages_table(rows: Sequence[Row], title: str = "") -> str:
    """Return passages as a table: text with marks, score, and each arm's part as a bar."""
    shown = rows[:SHOWN]
    if len(rows) > SHOWN:
        title = f"{title}{' ' if title else ''}The first {SHOWN} of {len(rows)} passages"
    if not rows:
        return table((), [(note("No passage."),)], title)
    best = max((row.score for row in shown), default=0.0)
    most: dict[str, float] = {}
    for row in shown:
        for arm, score in row.arms:
            most[arm] = max(most.get(arm, 0.0), score)
    heads = ["", "passage", "score", *(["arms"] if most else [])]
    return table(heads, [_cells(row, best, most) for row in shown], title)


def _cells(row: Row, best: float, most: dict[str, float]) -> list[str]:
    below = [row.origin, *row.notes]
    passage = excerpt(row.text, row.words) + "".join(note(visible(line)) for line in below if line)
    drawn = row.parts if all(part >= 0 for _, part in row.parts) else ()
    score = f"{number(row.score)}<br>{bar(drawn or [('', row.score)], best)}"
    cells = [visible(row.number), passage, score]
    if most:
        parts: dict[str, float] = {}
        for arm, part in row.parts:
            parts[arm] = parts.get(arm, 0.0) + part
        cells.append("".join(_arm(arm, score, most[arm], parts) for arm, score in row.arms))
    return cells


def _arm(arm: str, score: float, most: float, parts: dict[str, float]) -> str:
    added = f", adds {number(parts[arm])}" if arm in parts else ""
    return (
        f'<div style="white-space:nowrap">{bar([(arm, score)], most)} '
        f"{visible(arm)} {number(score)}{added}</div>"
    )
