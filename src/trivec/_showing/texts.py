"""Texts from outside as HTML: nothing is markup, what is hidden shows, matches are marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from trivec._runtime.showing import STEERING

__all__ = ["HIDDEN", "excerpt", "pieces", "visible"]

HIDDEN = re.compile(
    f"{STEERING.pattern}|"
    "[\u00ad\u115f\u1160\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)
"""Steers, or is drawn as nothing: soft hyphens, empty letters, tags that spell words unseen."""

EXCERPT = 420
BEFORE = 60
"""Characters of an excerpt, and those before its first match."""

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Scripts that put no space between words, or hang endings on them."""

WORD = re.compile(rf"[^\W_{UNSPACED}]+")

ENDINGS = frozenset(",s,es,ed,d,e,er,ers,r,rs,ing,ings,ly,n,en,em".split(","))  # noqa: SIM905
IN_Y = frozenset(["y", "ies", "ied"])
"""What two forms of a word may differ by. A mark is for the eye; scores follow the real stemmer."""

LEAST_STEM = 4
"""Letters that two forms of a word share."""

HIDDEN_STYLE = (
    "color:#c2493d;font:0.8em monospace;border:1px solid;border-radius:3px;"
    "padding:0 2px;unicode-bidi:isolate;direction:ltr"
)
MARK_STYLE = "background:rgba(240,180,20,.38);color:inherit;border-radius:3px"


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text as HTML, and whether each is the escape of a hidden character."""
    end = 0
    for match in HIDDEN.finditer(text):
        yield escape(text[end : match.start()]), False
        name = match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
        yield escape(name), True
        end = match.end()
    yield escape(text[end:]), False


def visible(text: object) -> str:
    """Return a text as HTML in which hidden characters are shown by their escapes."""
    return "".join(
        f'<span style="{HIDDEN_STYLE}">{piece}</span>' if hidden else piece
        for piece, hidden in pieces(str(text))
    )


def excerpt(text: str, terms: Iterable[str] = ()) -> str:
    """Return the part of a text that begins shortly before its first match, its matches marked."""
    flat = " ".join(text.split())
    spans = list(_spans(flat, terms))
    start = 0
    if len(flat) > EXCERPT and spans and spans[0][0] > BEFORE:
        start = min(spans[0][0] - BEFORE, len(flat) - EXCERPT)
    end = start + EXCERPT
    parts, at = ["…" if start else ""], start
    for first, last in spans:
        if start <= first and last <= end:
            parts.append(visible(flat[at:first]))
            parts.append(f'<mark style="{MARK_STYLE}">{visible(flat[first:last])}</mark>')
            at = last
    return "".join([*parts, visible(flat[at:end]), "…" if end < len(flat) else ""])


def _spans(text: str, terms: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield where matched terms stand, in order and apart."""
    lowered = text.lower()
    wanted = {term.lower().strip() for term in terms}
    wanted = {term for term in wanted if any(map(str.isalnum, term))}
    if not wanted or len(lowered) != len(text):  # a letter whose small form is two
        return
    words = {term for term in wanted if WORD.fullmatch(term)}
    found = [
        match.span()
        for match in WORD.finditer(lowered)
        if any(_same_word(match[0], term) for term in words)
    ]
    if others := sorted(wanted - words, key=len, reverse=True):
        found += [match.span() for match in re.finditer("|".join(map(re.escape, others)), lowered)]
    end = 0
    for first, last in sorted(found):
        if first >= end:
            yield first, last
            end = last


def _same_word(word: str, term: str) -> bool:
    """Say whether two words are one, or differ by an ending alone."""
    if word == term:
        return True
    shared = 0
    for one, other in zip(word, term, strict=False):
        if one != other:
            break
        shared += 1
    rests = {word[shared:], term[shared:]}
    if shared < LEAST_STEM:
        return shared == LEAST_STEM - 1 and rests == {"", "s"}  # car, cars; but not the, then
    return rests <= ENDINGS or rests <= IN_Y
