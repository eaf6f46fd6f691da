"""Late interaction over ColBERT token vectors; numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec._runtime.checks import check_least
from trivec.types import FloatArray

__all__ = ["max_sim", "pool_rows"]


def max_sim(query: FloatArray, passages: Sequence[FloatArray]) -> FloatArray:
    """Score passages by MaxSim: every query row takes its best passage row, summed up.

    This is Qdrant's ``max_sim``; FlagEmbedding's ColBERT score is the same divided by the number
    of query rows (Khattab and Zaharia 2020, https://arxiv.org/abs/2004.12832).

    Args:
        query: ``(query_rows, dim)`` float32.
        passages: arrays ``(rows, dim)`` float32.

    Returns:
        ``(passages,)`` float32; a passage without rows, or an empty query, scores 0.
    """
    counts = np.array([len(passage) for passage in passages], dtype=np.int64)
    scores = np.zeros(len(passages), dtype=np.float32)
    filled = counts > 0
    if not len(query) or not filled.any():
        return scores
    products = query @ np.concatenate([passage for passage in passages if len(passage)]).T
    starts = np.cumsum(counts[filled]) - counts[filled]
    scores[filled] = np.maximum.reduceat(products, starts, axis=1).sum(axis=0)
    return scores


def pool_rows(rows: FloatArray, most: int) -> FloatArray:
    """Merge neighbouring rows until at most ``most`` are left.

    Runs of neighbours are averaged and given unit length again; the cuts between runs fall where
    neighbours are least alike. After the token pooling of Clavié et al. 2024
    (https://arxiv.org/abs/2409.14683), which clusters rows wherever they stand; neighbours alone
    need no distance matrix.

    Args:
        rows: ``(n, dim)`` float32 of unit length.
        most: how many rows may be left, at least 1.

    Returns:
        ``(min(n, most), dim)`` float32; the same object when nothing was to be done.

    Raises:
        InputError: ``most`` is less than 1.
    """
    check_least("most", most, 1)
    if len(rows) <= most:
        return rows
    alike = np.einsum("nd,nd->n", rows[1:], rows[:-1])
    cuts = np.sort(np.argsort(alike, kind="stable")[: most - 1]) + 1
    starts = np.concatenate([[0], cuts])
    pooled = np.add.reduceat(rows, starts, axis=0)
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    return np.asarray(pooled / np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)
