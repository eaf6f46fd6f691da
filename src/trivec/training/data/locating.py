"""Where an index's passages lie in the long paragraphs of a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from trivec.text import Span

__all__ = ["PassageSplitter"]

BEGINNING = 24
"""Characters, white space left out, by which a passage is looked for; shorter ones are not."""


class PassageSplitter:
    """Splits a text where an index has split it.

    A SQuAD-shaped file may hold whole papers, of which an index holds the parts. Whoever chunked
    them may have changed white space, and nothing else.

    Args:
        passages: the texts of the index.
    """

    def __init__(self, passages: Iterable[str]) -> None:
        self._passages: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for passage in dict.fromkeys(passages):
            dense = "".join(passage.split())
            if len(dense) >= BEGINNING:
                self._passages[dense[:BEGINNING]].append((dense, passage))

    def __call__(self, text: str) -> list[Span]:
        """Return the passages that lie in a text, in order; where there is none, the text.

        Args:
            text: a paragraph of the file.

        Returns:
            Spans of the text. Each has the words of the index's own passage.
        """
        places = [at for at, letter in enumerate(text) if not letter.isspace()]
        dense = "".join(text[at] for at in places)
        spans = [
            Span(passage, places[at], places[at + len(wanted) - 1] + 1)
            for at in range(len(dense) - BEGINNING + 1)
            for wanted, passage in self._passages.get(dense[at : at + BEGINNING], ())
            if dense.startswith(wanted, at)
        ]
        return spans or [Span(text, 0, len(text))]
