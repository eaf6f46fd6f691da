"""The sections of a reStructuredText file: titles over, or between, lines of one mark."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate

from trivec.ingest.documents import Block, Document

__all__ = ["rst_document"]

MARKS = frozenset(string.punctuation)
MOST_LEVELS = 9
TARGET = ".. _"
"""Begins a line that names the place for links."""


def rst_document(text: str) -> Document:
    """Return a reStructuredText file as a document; all but its titles stays as it is written."""
    blocks = tuple(_blocks(text))
    title = next((block.title for block in blocks if block.kind == "heading"), None)
    return Document(text, metadata={"title": title} if title else {}, blocks=blocks)


def _blocks(text: str) -> Iterator[Block]:
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    styles: list[str] = []
    begin = number = 0
    while number < len(lines):
        count = _title_lines(lines, number)
        if count == 0:
            number += 1
            continue
        yield from _text(text, starts[begin], starts[number])
        style = lines[number + count - 1][0] + ("=" if count == 3 else "")
        if style not in styles:
            styles.append(style)
        title = " ".join(lines[number + count - 2].split())
        end = starts[number + count] - 1
        level = min(styles.index(style) + 1, MOST_LEVELS)
        yield Block(starts[number], end, "heading", level=level, title=title)
        begin = number = number + count
    yield from _text(text, starts[begin], len(text))


def _title_lines(lines: Sequence[str], number: int) -> int:
    """Return how many lines of a title begin here: 3 with a line above it, 2 without, or 0."""
    first, second, third = (*lines[number : number + 3], "", "")[:3]
    if _is_rule(first) and second.strip() and third.rstrip() == first.rstrip():
        return 3 if _width(second.rstrip()) <= len(first.rstrip()) else 0
    is_title = first.strip() and first[0] not in " \t" and not _is_rule(first)
    before = lines[number - 1] if number else ""
    if is_title and not before.strip() and _is_rule(second):
        return 2 if _width(first.rstrip()) <= len(second.rstrip()) else 0
    return 0


def _is_rule(line: str) -> bool:
    line = line.rstrip()
    return len(line) > 1 and line[0] in MARKS and line == line[0] * len(line)


def _width(line: str) -> int:
    """Return the columns that a line takes: two for a wide character."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in line)


def _text(text: str, start: int, end: int) -> Iterator[Block]:
    source = text[start:end]
    lines = source.split("\n")
    if any(line.strip() and not line.startswith(TARGET) for line in lines):
        start += len(source) - len(source.lstrip("\n"))
        yield Block(start, start + len(source.strip("\n")))
