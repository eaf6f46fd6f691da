"""From a batch's token weights and rows to the vectors of each text; numpy only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from trivec.types import FloatArray, SparseVector

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["multivectors", "sparse_vectors"]

_MOST_CELLS = 2**31
"""Texts x vocabulary that fit into the upper half of a signed 64-bit key."""
_FEW = 48
"""Tokens of a single text that are looked at one by one sooner than as columns."""


def sparse_vectors(
    tokens: NDArray[np.int64],
    weights: FloatArray,
    counts: NDArray[np.int64],
    unused: NDArray[np.int64],
) -> list[SparseVector]:
    """Turn the token weights of several texts into sparse vectors.

    As FlagEmbedding does: ``unused`` tokens and weights that are not positive are dropped, the
    highest weight of a repeated token wins. Indices come out ascending and unique, as Qdrant
    wants them.

    Args:
        tokens: ``(n,)`` token ids, the texts one after another.
        weights: ``(n,)`` float32, one for each token.
        counts: ``(texts,)`` how many of the n belong to each text.
        unused: ids that never count: the special tokens.

    Returns:
        One vector for each text, in order.
    """
    if len(counts) == 1 and len(tokens) <= _FEW:
        return [_sparse_vector(tokens.tolist(), weights.tolist(), set(unused.tolist()))]
    bits = int(tokens.max(initial=0)).bit_length()
    if len(counts) > 1 and len(counts) << bits > _MOST_CELLS:
        half = len(counts) // 2
        at = int(counts[:half].sum())
        return [
            *sparse_vectors(tokens[:at], weights[:at], counts[:half], unused),
            *sparse_vectors(tokens[at:], weights[at:], counts[half:], unused),
        ]
    kept = np.flatnonzero(weights > 0)
    texts = np.arange(len(counts) + 1) << bits
    keys = (np.repeat(texts[:-1], counts) | tokens).take(kept)
    # cell and weight in one integer, since positive floats sort as their bits: one quick sort
    # brings every token together, its highest weight last
    keys <<= 32
    keys |= weights.take(kept).view(np.uint32).astype(np.int64)
    keys.sort()
    cells = keys >> 32
    is_last = np.ones(len(cells), dtype=bool)
    np.not_equal(cells[1:], cells[:-1], out=is_last[:-1])
    # a handful of comparisons beats np.isin's general machinery
    token_ids = (cells & ((1 << bits) - 1)).astype(np.uint32)
    for token in unused.tolist():
        is_last &= token_ids != token
    last = np.flatnonzero(is_last)  # taken three times, which is quicker than by a mask
    indices, highest = token_ids.take(last), keys.take(last).astype(np.uint32).view(np.float32)
    ends = np.searchsorted(cells.take(last), texts).tolist()
    return [SparseVector(indices[start:end], highest[start:end]) for start, end in pairwise(ends)]


def _sparse_vector(
    tokens: Sequence[int], weights: Sequence[float], unused: Collection[int]
) -> SparseVector:
    """Return the vector of one short text, such as a question, token by token."""
    highest: dict[int, float] = {}
    for token, weight in zip(tokens, weights, strict=True):
        if weight > highest.get(token, 0.0) and token not in unused:
            highest[token] = weight
    indices = sorted(highest)
    return SparseVector(
        np.array(indices, dtype=np.uint32),
        np.array([highest[index] for index in indices], dtype=np.float32),
    )


def multivectors(rows: FloatArray, counts: NDArray[np.int64]) -> list[FloatArray]:
    """Give every text its own ColBERT rows.

    Args:
        rows: ``(n, dim)`` float32, the texts one after another.
        counts: ``(texts,)`` how many rows belong to each text.

    Returns:
        Arrays that own their memory: keeping one of them does not keep the batch alive.
    """
    if len(counts) == 1:
        return [rows]
    return [part.copy() for part in np.split(rows, np.cumsum(counts)[:-1])]
