"""Which passages of an index a dataset's questions are about, whatever the file calls them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from trivec.evaluation.dataset import Dataset
from trivec.index import HybridIndex
from trivec.text import Span

__all__ = ["IndexSplitter", "located"]

BEGINNING = 12
"""Characters, white space left out, by which a passage is looked for; shorter ones are not."""


def located(dataset: Dataset, index: HybridIndex) -> Dataset:
    """Return a dataset whose questions are about the passages of an index.

    A file that has the words of a passage has no id of it, or one of its own. Such a passage is
    the one of the index with the same words; white space does not count.

    Args:
        dataset: as it was read.
        index: it may hold the dataset's passages under other ids.

    Returns:
        The dataset itself where the index knows its ids. Otherwise one without passages of its
        own; what the index does not hold keeps its id.
    """
    relevant = dict.fromkeys(key for one in dataset.questions for key in one.relevant)
    if not dataset.passages or not relevant:
        return dataset
    known = {str(chunk.id) for chunk in index.get(list(relevant))}
    wanted = {
        _dense(chunk.text): str(chunk.id)
        for chunk in dataset.passages
        if str(chunk.id) in relevant and str(chunk.id) not in known
    }
    if not wanted:
        return dataset
    found: dict[str, str] = {}
    for chunk in index.chunks():
        own = wanted.get(_dense(chunk.text))
        if own is not None:
            found.setdefault(own, str(chunk.id))
    questions = tuple(
        replace(one, relevant={found.get(key, key): grade for key, grade in one.relevant.items()})
        for one in dataset.questions
    )
    return replace(dataset, passages=(), questions=questions)


class IndexSplitter:
    """Splits a text where an index has split it.

    A SQuAD-shaped file may hold whole papers, of which an index holds the parts. Whoever chunked
    them may have changed white space, and nothing else.

    Args:
        passages: the texts of the index.
    """

    def __init__(self, passages: Iterable[str]) -> None:
        self._passages: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for passage in dict.fromkeys(passages):
            dense = _dense(passage)
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


def _dense(text: str) -> str:
    return "".join(text.split())
