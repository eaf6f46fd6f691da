"""What models put around a keyword or a question: quotes, brackets, emphasis, a full stop.

What belongs to the word stays: the brackets of ``vector<int>`` and ``f(x)``, the stop of ``.NET``,
the star of ``A*``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

__all__ = ["unwrapped"]

_CLOSER: Mapping[str, str] = dict(zip("([{<“‘「『《（［【", ")]}>”’」』》）］】", strict=True))
_OPENER: Mapping[str, str] = {closer: opener for opener, closer in _CLOSER.items()}
_QUOTES = frozenset("\"'`")
_EMPHASIS = frozenset("*_~")
_NEVER_OF_A_WORD = frozenset(" \t\r\n。,，")
_SIGNS = "".join((*_CLOSER, *_OPENER, *_QUOTES, *_EMPHASIS, *_NEVER_OF_A_WORD, "."))
_ABBREVIATION = re.compile(r"(?<!\w)(?:[^\W\d_]\.){2,9}$")
_ARROW = re.compile(r"[-=]>$")
_DUNDER = re.compile(r"__[a-z0-9]{1,30}(?:_[a-z0-9]{1,30}){0,5}__")


def unwrapped(text: str) -> str:
    """Return a text without what a model put around it; time is linear in its length.

    Brackets, quotes and emphasis go where they stand around the whole, or have no partner in it.
    """
    partners = _partners(text)
    signs = Counter(sign for sign in text if sign in _QUOTES or sign in _EMPHASIS)
    start, end = 0, len(text)
    while start < end:
        first, last = text[start], text[end - 1]
        if width := _width_around(text, start, end, signs):
            start, end = start + width, end - width
            signs[first] -= 2 * width
        elif partners.get(start) == end - 1:
            start, end = start + 1, end - 1
        elif width := _excess(text[start : start + 2], signs, has_partner=start in partners):
            start += width
            signs[first] -= width
        elif _ARROW.search(text, max(start, end - 2), end):
            break
        elif width := _excess_at_end(text, start, end, signs, has_partner=end - 1 in partners):
            end -= width
            signs[last] -= width
        else:
            break
    return text[start:end] if text[start:end].strip(_SIGNS) else ""


def _partners(text: str) -> dict[int, int]:
    """Return where the partner of each bracket is, both ways."""
    partners: dict[int, int] = {}
    waiting: list[int] = []
    for at, sign in enumerate(text):
        if sign in _CLOSER:
            waiting.append(at)
        elif sign in _OPENER and waiting and _CLOSER[text[waiting[-1]]] == sign:
            opener = waiting.pop()
            partners[opener], partners[at] = at, opener
    return partners


def _width_around(text: str, start: int, end: int, signs: Counter[str]) -> int:
    """Return how many quotes, or stars, stand around the whole, and nowhere within it."""
    sign = text[start]
    if signs[sign] <= 0 or signs[sign] % 2 or _DUNDER.fullmatch(text, start, end):
        return 0
    width = signs[sign] // 2
    around = text.startswith(sign * width, start) and text.endswith(sign * width, start, end)
    return width if around else 0


def _excess_at_end(
    text: str, start: int, end: int, signs: Counter[str], *, has_partner: bool
) -> int:
    if text[end - 1] == "." and _ABBREVIATION.search(text[max(start, end - 20) : end]):
        return 0
    beside = text[end - 2] if end - start > 1 else ""
    if text[end - 1] == "." and beside.isalnum():
        return 1
    return _excess(text[end - 1] + beside, signs, has_partner=has_partner)


def _excess(pair: str, signs: Counter[str], *, has_partner: bool) -> int:
    """Return how many signs at an end go: a sign, and the one beside it, seen from that end."""
    sign, beside = pair[0], pair[1:]
    if sign == ".":
        return 0 if beside.isalnum() else 1
    if sign in _EMPHASIS:  # one alone may belong to the word
        return 2 if beside == sign and signs[sign] == 2 else 0
    if sign in _QUOTES:
        return signs[sign] % 2
    if sign in _CLOSER or sign in _OPENER:
        return 0 if has_partner else 1
    return 1 if sign in _NEVER_OF_A_WORD else 0
