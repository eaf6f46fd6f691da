"""From the characters of a page to its text: columns, table rows, paragraphs, whole words."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from trivec.ingest.formats.html_tables import row_line

__all__ = ["Character", "page_text"]

CELL_GAP = 1.5
"""Heights of a line between two pieces of it that are apart: cells, columns."""

GUTTER = 0.5
MIDDLE = (0.2, 0.8)
MOST_CROSSING = 0.34
FEWEST_LINES = 3
PROSE = 14
FULL = 0.5
PARAGRAPH = 1.45
OTHER_SIZE = 1.2
SENTENCE_ENDS = (".", "!", "?", ":", ";", "。", "！", "？", "：", "；")
WORD = re.compile(r"\w+(?:-\w+)*")
KEPT_PREFIXES = frozenset(
    [
        *("self", "well", "non", "cross", "high", "low", "long", "short", "full", "half", "real"),
        *("user", "state", "all", "ex", "one", "two", "three", "four", "five", "six", "ten"),
        *("first", "second", "third", "so", "end", "open", "large", "small", "fine", "near"),
    ]
)
"""Words before a hyphen that is written in the middle of a line too."""


class Character(NamedTuple):
    """A character and its box; y grows upwards. A space that PDFium infers has no width."""

    text: str
    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class _Fragment:
    """Characters side by side on one line."""

    text: str
    left: float
    right: float
    bottom: float
    top: float

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 1.0)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def center(self) -> float:
        return (self.top + self.bottom) / 2


class _Line(NamedTuple):
    fragments: list[_Fragment]

    @property
    def text(self) -> str:
        return " ".join(fragment.text for fragment in self.fragments)

    @property
    def left(self) -> float:
        return self.fragments[0].left

    @property
    def right(self) -> float:
        return max(fragment.right for fragment in self.fragments)

    @property
    def center(self) -> float:
        return self.fragments[0].center

    @property
    def height(self) -> float:
        return max(fragment.height for fragment in self.fragments)


def page_text(characters: Sequence[Character]) -> str:
    """Return the text of a page in the order of reading, one paragraph or row a line."""
    fragments = _fragments(characters)
    if not fragments:
        return ""
    if sum(len(fragment.text) for fragment in fragments) < 2 * len(fragments):
        return "".join(character.text for character in characters).strip()  # set vertically
    words = {word.lower() for one in fragments for word in WORD.findall(one.text)}
    columns = (_column_text(column, words) for column in _columns(fragments))
    return "\n\n".join(text for text in columns if text)


def _fragments(characters: Sequence[Character]) -> list[_Fragment]:
    fragments = []
    run: list[Character] = []
    last: Character | None = None
    for character in characters:
        if last is not None and not _beside(last, character):
            fragments.append(_fragment(run))
            run, last = [], None
        if character.text.strip():
            last = character
        if last is not None:
            run.append(character)
    if run:
        fragments.append(_fragment(run))
    return fragments


def _beside(last: Character, character: Character) -> bool:
    if character.left == character.right and not character.text.strip():
        return True  # an inferred space tells nothing of where it is
    height = max(last.top - last.bottom, character.top - character.bottom, 1.0)
    shared = min(last.top, character.top) - max(last.bottom, character.bottom)
    apart = max(character.left - last.right, last.left - character.right)
    least = min(last.top - last.bottom, character.top - character.bottom)
    return shared >= least / 2 and apart < CELL_GAP * height


def _fragment(run: Sequence[Character]) -> _Fragment:
    solid = [one for one in run if one.text.strip()]
    return _Fragment(
        " ".join("".join(one.text for one in run).split()),
        min(one.left for one in solid),
        max(one.right for one in solid),
        min(one.bottom for one in solid),
        max(one.top for one in solid),
    )


def _columns(fragments: list[_Fragment]) -> Iterator[list[_Fragment]]:
    """Yield the columns of a page, and what stands above, between and below them."""
    gutter = _gutter(fragments)
    if gutter is None:
        yield fragments
        return
    across = [one for one in fragments if one.left < gutter < one.right]
    edges = sorted({-one.center for one in across})
    bands: list[tuple[list[_Fragment], list[_Fragment], list[_Fragment]]] = [
        ([], [], []) for _ in range(len(edges) + 1)
    ]
    for one in fragments:
        left, right, wide = bands[bisect_left(edges, -one.center)]
        side = left if one.right <= gutter else right if one.left >= gutter else wide
        side.append(one)
    for left, right, wide in bands:
        for side in (left, right):
            if side:
                yield from _columns(side)
        if wide:
            yield wide


def _gutter(fragments: Sequence[_Fragment]) -> float | None:
    """Return where the page is parted in two columns of prose; None where it is not."""
    if len(fragments) < 2 * FEWEST_LINES:
        return None
    start = min(one.left for one in fragments)
    width = max(one.right for one in fragments) - start
    least = GUTTER * median(one.height for one in fragments)
    events = sorted([(one.left, 1) for one in fragments] + [(one.right, -1) for one in fragments])
    best: tuple[int, float, float] | None = None
    crossing = 0
    for (at, change), (following, _) in pairwise(events):
        crossing += change
        middle = (at + following) / 2
        inside = MIDDLE[0] * width <= middle - start <= MIDDLE[1] * width
        if inside and following - at >= least:
            candidate = (crossing, at - following, middle)
            best = candidate if best is None else min(best, candidate)
    if best is None or best[0] > MOST_CROSSING * len(fragments):
        return None
    gutter = best[2]
    left = [one for one in fragments if one.right <= gutter]
    right = [one for one in fragments if one.left >= gutter]
    return gutter if _is_prose(left) and _is_prose(right) and _abreast(left, right) else None


def _is_prose(fragments: Sequence[_Fragment]) -> bool:
    """Say whether lines fill their column, as those of text do and those of a table do not."""
    if len(fragments) < FEWEST_LINES:
        return False
    width = max(one.right for one in fragments) - min(one.left for one in fragments)
    full = sum(one.width >= FULL * width for one in fragments)
    columns = sum(_columns_of(one.text) for one in fragments) / len(fragments)
    return full >= FULL * len(fragments) and columns >= PROSE


def _abreast(left: Sequence[_Fragment], right: Sequence[_Fragment]) -> bool:
    top = min(max(one.top for one in side) for side in (left, right))
    bottom = max(min(one.bottom for one in side) for side in (left, right))
    return top > bottom


def _columns_of(text: str) -> int:
    return sum(1 + _is_wide(character) for character in text)


def _column_text(fragments: Sequence[_Fragment], words: set[str]) -> str:
    lines = _lines(fragments)
    right = max(line.right for line in lines)
    pitch = _pitch(lines)
    texts = [""]
    rows = _table_rows(lines)
    for number, line in enumerate(lines):
        if number in rows:
            texts.append(rows[number])
        else:
            texts.append(line.text)
        if number == 0:
            texts = [texts[-1]]
            continue
        before = lines[number - 1]
        text = texts.pop()
        if (number in rows) != (number - 1 in rows) or _new_paragraph(before, line, pitch):
            texts += ["", text]
        elif number in rows or not _flows(before, line, right):
            texts.append(text)
        else:
            texts[-1] = _joined(texts[-1], text, words)
    return "\n".join(texts).strip()


def _lines(fragments: Sequence[_Fragment]) -> list[_Line]:
    lines: list[_Line] = []
    for fragment in sorted(fragments, key=lambda one: (-one.center, one.left)):
        if lines and lines[-1].center - fragment.center < lines[-1].height / 2:
            lines[-1].fragments.append(fragment)
        else:
            lines.append(_Line([fragment]))
    for line in lines:
        line.fragments.sort(key=lambda one: one.left)
    return lines


def _pitch(lines: Sequence[_Line]) -> float:
    steps = [one.center - other.center for one, other in pairwise(lines)]
    return median(steps) if steps else 0.0


def _new_paragraph(before: _Line, line: _Line, pitch: float) -> bool:
    height = min(before.height, line.height)
    step = before.center - line.center
    if step > PARAGRAPH * max(min(pitch, 2 * height), height):
        return True
    return max(before.height, line.height) > OTHER_SIZE * height


def _flows(before: _Line, line: _Line, right: float) -> bool:
    """Say whether a line goes on in the next: its first word had no room on this one."""
    text = line.text
    first = text[:1] if _is_wide(text[0]) else text.split(" ", 1)[0]
    needed = (line.right - line.left) * len(first) / len(text)
    goes_on = text[0].islower() and not before.text.endswith(SENTENCE_ENDS)
    return goes_on or before.right + needed + before.height / 4 > right


def _joined(before: str, after: str, words: set[str]) -> str:
    stem = before[:-1].rpartition(" ")[2]
    if before.endswith(("-", "\xad", "‐")) and stem[-1:].isalpha() and after[:1].islower():
        ending = WORD.match(after)
        whole = f"{stem}{ending[0] if ending else ''}".lower()
        hyphenated = f"{stem}-{ending[0] if ending else ''}".lower()
        keeps = hyphenated in words or (stem.lower() in KEPT_PREFIXES and whole not in words)
        return before[:-1] + ("-" if keeps and not before.endswith("\xad") else "") + after
    together = _is_wide(before[-1:]) and _is_wide(after[:1])
    return before + ("" if together else " ") + after


def _is_wide(character: str) -> bool:
    """Say whether a character is of a script that writes no spaces between words."""
    if not character or unicodedata.east_asian_width(character) not in "WF":
        return False
    return not unicodedata.name(character, "").startswith("HANGUL")


def _table_rows(lines: Sequence[_Line]) -> dict[int, str]:
    """Return the lines that are rows of a table, with an empty cell where a column has none."""
    rows: dict[int, str] = {}
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and len(lines[end].fragments) > 1:
            end += 1
        if end - start >= 2:
            rows |= _aligned(lines, start, end)
        start = max(end, start + 1)
    return rows


def _aligned(lines: Sequence[_Line], start: int, end: int) -> dict[int, str]:
    spans: list[list[float]] = []
    for fragment in sorted(
        (one for line in lines[start:end] for one in line.fragments), key=lambda one: one.left
    ):
        if spans and fragment.left < spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], fragment.right)
        else:
            spans.append([fragment.left, fragment.right])
    rows = {}
    for number in range(start, end):
        cells = [
            [one.text for one in lines[number].fragments if left <= one.left < right]
            for left, right in spans
        ]
        if any(len(cell) > 1 for cell in cells):
            return {}
        rows[number] = row_line([cell[0] if cell else "" for cell in cells])
    return rows
