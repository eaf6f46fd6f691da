"""From a batch's token weights and rows to the vectors of each text; numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trivec.types import FloatArray, SparseVector

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["multivectors", "sparse_vectors"]


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
    rows = np.repeat(np.arange(len(counts)), counts)
    # a handful of comparisons beats np.isin's general machinery
    keep = weights > 0
    for token in unused:
        keep &= tokens != token
    tokens, weights, rows = tokens[keep], weights[keep], rows[keep]
    width = int(tokens.max(initial=0)) + 1
    keys = rows * width + tokens
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    highest = np.maximum.reduceat(weights[order], starts) if len(starts) else weights
    keys = keys[starts]
    indices = (keys % width).astype(np.uint32)
    ends = np.searchsorted(keys, np.arange(len(counts) + 1) * width)
    return [
        SparseVector(indices[start:end], highest[start:end])
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


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
