"""Late chunking: one reading of a long document, then the vectors of each of its passages.

The states of a passage's tokens are taken out of the states of the whole document, so that they
know what came before and after (Guenther et al., "Late Chunking", 2024, arXiv:2409.04701). A
document longer than the model reads is read in windows that overlap; every passage is taken from
one window, with text before and after it as far as there is any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from trivec.encoders.postprocess import multivectors, sparse_vectors
from trivec.errors import InputError
from trivec.types import Encoding, FloatArray, Head, SparseVector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trivec.encoders.tokens import TextTokenizer

__all__ = ["LongReading", "TokenOutputs", "encode_spans"]

CONTEXT_SHARE = 4
"""A window that does not hold the whole document leaves this part of itself, on both sides
together, for text that belongs to other passages."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenOutputs:
    """What a model gives for the tokens of one window; what was not asked for is None.

    Attributes:
        states: ``(n, dim)`` float32, of which the dense vectors are means.
        weights: ``(n,)`` float32, not yet rectified.
        rows: ``(n, dim)`` float32 ColBERT rows, normalised where the encoder normalises.
    """

    states: FloatArray | None
    weights: FloatArray | None
    rows: FloatArray | None


Compute: TypeAlias = "Callable[[NDArray[np.int64], Collection[Head]], TokenOutputs]"
"""One forward over the token ids of one window, special tokens included, for these heads."""


@dataclass(frozen=True, slots=True)
class LongReading:
    """How a document is read.

    Attributes:
        tokenizer: the model's.
        compute: the model.
        heads: what to compute.
        instruction: text put before the document.
        max_length: the most tokens of a window, special and instruction tokens included.
        normalize: give dense vectors unit length.
    """

    tokenizer: TextTokenizer
    compute: Compute
    heads: Collection[Head]
    instruction: str
    max_length: int
    normalize: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of the document's tokens and the passages taken from it.

    ``parts`` holds, for each passage, its number and the tokens ``first`` to ``last`` (exclusive)
    counted from the window's start.
    """

    start: int
    end: int
    parts: list[tuple[int, int, int, bool]]


def encode_spans(
    document: str, spans: Sequence[tuple[int, int]], reading: LongReading
) -> list[Encoding]:
    """Encode the passages of a document, each in the light of all of it.

    Args:
        document: the text.
        spans: where each passage begins and ends, in characters; any order, overlaps allowed.
        reading: the model, and how it reads.

    Returns:
        One encoding for each span, in order; ``tokens`` counts the span's own.

    Raises:
        InputError: a span is empty or lies outside of the document.
    """
    _check_spans(document, spans)
    if not spans:
        return []
    located = reading.tokenizer.locate(document, instruction=reading.instruction)
    ranges = [_tokens_of(span, located.starts, located.ends) for span in spans]
    room = reading.max_length - len(located.before) - len(located.after)
    encodings: dict[int, Encoding] = {}
    for window in _windows(ranges, len(located.ids), room):
        own = located.ids[window.start : window.end]
        ids = np.concatenate([located.before, own, located.after])
        encodings.update(_slice(ids, window, len(located.before), reading))
    return [encodings[number] for number in range(len(spans))]


def _check_spans(document: str, spans: Sequence[tuple[int, int]]) -> None:
    for start, end in spans:
        if not 0 <= start < end <= len(document):
            raise InputError(
                f"the span ({start}, {end}) does not lie in a document of {len(document)} "
                "characters; give 0 <= start < end <= length"
            )


def _tokens_of(
    span: tuple[int, int], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[int, int]:
    """Return the first and the last token (exclusive) that reach into a span of characters."""
    first = int(np.searchsorted(ends, span[0], side="right"))
    last = int(np.searchsorted(starts, span[1], side="left"))
    return first, max(first, last)


def _windows(ranges: Sequence[tuple[int, int]], tokens: int, room: int) -> list[_Window]:
    """Share the passages out among windows of at most ``room`` tokens.

    Passages are taken together as long as they leave room for context on both sides. One that is
    longer than a window is cut off.
    """
    order = sorted(range(len(ranges)), key=lambda number: ranges[number])
    if tokens <= room:
        return [_Window(0, tokens, [(number, *ranges[number], False) for number in order])]
    filled = room - room // CONTEXT_SHARE
    groups: list[list[int]] = []
    for number in order:
        begin = ranges[groups[-1][0]][0] if groups else 0
        if not groups or ranges[number][1] - begin > filled:
            groups.append([])
        groups[-1].append(number)
    windows = []
    for group in groups:
        begin, end = ranges[group[0]][0], max(ranges[number][1] for number in group)
        spare = max(0, room - (end - begin))
        start = max(0, min(begin - spare // 2, tokens - room))
        stop = min(tokens, start + room)
        windows.append(
            _Window(start, stop, [_part(number, ranges[number], start, stop) for number in group])
        )
    return windows


def _part(number: int, span: tuple[int, int], start: int, stop: int) -> tuple[int, int, int, bool]:
    return number, span[0] - start, min(span[1], stop) - start, span[1] > stop


def _slice(
    ids: NDArray[np.int64], window: _Window, before: int, reading: LongReading
) -> list[tuple[int, Encoding]]:
    """Read a window and take the passages out of what the model gives."""
    outputs = reading.compute(ids, reading.heads)
    places = [np.arange(first + before, last + before) for _, first, last, _ in window.parts]
    counts = np.array([len(place) for place in places])
    chosen = np.concatenate(places)
    nothing = [None] * len(places)
    dense: Sequence[FloatArray | None] = nothing
    sparse: Sequence[SparseVector | None] = nothing
    colbert: Sequence[FloatArray | None] = nothing
    if outputs.states is not None:
        dense = [_mean(outputs.states[place], normalize=reading.normalize) for place in places]
    if outputs.weights is not None:
        unused = reading.tokenizer.unused
        sparse = sparse_vectors(ids[chosen], outputs.weights[chosen], counts, unused)
    if outputs.rows is not None:
        colbert = multivectors(outputs.rows[chosen], counts)
    return [
        (number, Encoding(one, weights, rows, tokens=last - first, truncated=cut))
        for (number, first, last, cut), one, weights, rows in zip(
            window.parts, dense, sparse, colbert, strict=True
        )
    ]


def _mean(states: FloatArray, *, normalize: bool) -> FloatArray:
    """Return the mean of a passage's states; one without tokens has a vector of zeros."""
    if not len(states):
        return np.zeros(states.shape[1], dtype=np.float32)
    mean: FloatArray = states.mean(axis=0, dtype=np.float32)
    length = float(np.linalg.norm(mean))
    return mean / np.float32(length) if normalize and length else mean
