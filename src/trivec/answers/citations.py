"""The numbers that an answer cites passages by."""

from __future__ import annotations

import re

__all__ = ["CITATION", "cited_numbers"]

CITATION = re.compile(r"[\[【]\s*(\d{1,4}(?:\s*[,，、;；\-–]\s*\d{1,4})*)\s*[\]】]")
_PART = re.compile(r"(\d+)(?:\s*[\-–]\s*(\d+))?")


def cited_numbers(answer: str) -> tuple[int, ...]:
    """Return the numbers cited as ``[1]``, ``[1, 3]``, ``[2-4]`` or ``【1】``, each once."""
    numbers: dict[int, None] = {}
    for citation in CITATION.finditer(answer):
        for first, last in _PART.findall(citation[1]):
            start, stop = int(first), int(last or first)
            # a range that ends before it starts, or is absurdly long, is read as two numbers
            listed = range(start, stop + 1) if start <= stop < start + 100 else (start, stop)
            numbers.update(dict.fromkeys(listed))
    return tuple(numbers)
