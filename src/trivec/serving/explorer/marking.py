"""Text from outside as HTML: nothing of it is markup, what is hidden shows, matches are marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from trivec._showing.texts import pieces
from trivec.bm25 import Bm25Analyzer

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Marker", "visible"]

EXCERPT = 420
BEFORE = 60
"""Characters of an excerpt, and those before its first match."""

REMEMBERED = 2048
"""Passages whose words are kept."""

Spans = Sequence[tuple[int, int]]


def visible(text: str) -> Markup:
    """Return a text as HTML in which hidden characters are shown by their escapes."""
    from markupsafe import Markup

    drawn = (
        f'<span class="hidden-character">{piece}</span>' if hidden else piece
        for piece, hidden in pieces(text)
    )
    return Markup("".join(drawn))  # noqa: S704  # every piece is escaped


class Marker:
    """Marks the words of a question in passages.

    Args:
        analyzer: the index's own; None takes the default one.
    """

    def __init__(self, analyzer: Bm25Analyzer | None) -> None:
        self._analyzer = analyzer or Bm25Analyzer()
        # a passage stands in several lists, and stays when a switch is turned
        self._words = lru_cache(REMEMBERED)(self._analyzer.named_terms)

    def terms(self, texts: Iterable[str]) -> frozenset[str]:
        """Return the terms of a question's texts."""
        return frozenset(term for text in texts for term in self._analyzer.terms(text))

    def whole(self, text: str, terms: frozenset[str]) -> Markup:
        """Return a text with its matches marked."""
        return _marked(text, self._spans(text, terms))

    def excerpt(self, text: str, terms: frozenset[str]) -> Markup:
        """Return a part of a text that begins shortly before its first match."""
        from markupsafe import Markup

        flat = " ".join(text.split())
        spans = self._spans(flat, terms)
        start = 0
        if len(flat) > EXCERPT and spans and spans[0][0] > BEFORE:
            start = min(spans[0][0] - BEFORE, len(flat) - EXCERPT)
        end = start + EXCERPT
        inside = [
            (max(a, start) - start, min(b, end) - start) for a, b in spans if start <= a < end
        ]
        marked = _marked(flat[start:end], inside)
        before, after = "…" if start else "", "…" if end < len(flat) else ""
        return Markup("{}{}{}").format(before, marked, after)

    def _spans(self, text: str, terms: frozenset[str]) -> list[tuple[int, int]]:
        """Return where words stand that count as one of the terms."""
        lowered = text.lower()
        if not terms or len(lowered) != len(text):  # a letter whose small form is two
            return []
        spans, at = [], 0
        for term, written in self._words(text):
            found = lowered.find(written, at)
            if found < 0:
                continue
            at = found + len(written)
            if term in terms:
                spans.append((found, at))
        return spans


def _marked(text: str, spans: Spans) -> Markup:
    from markupsafe import Markup

    parts, end = [], 0
    for first, last in spans:
        parts += [visible(text[end:first]), Markup("<mark>"), visible(text[first:last])]
        parts.append(Markup("</mark>"))
        end = last
    return Markup("").join([*parts, visible(text[end:])])
