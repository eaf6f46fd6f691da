"""Late interaction that asks where in a passage the matches stand; numpy only.

ColBERT's MaxSim (Khattab and Zaharia 2020, https://arxiv.org/abs/2004.12832) lets every query token
take its best passage token, wherever it is, and counts all query tokens alike. Here tokens have
weights, and besides the whole passage a short stretch of it is matched: a question is answered in
one place, and a passage that holds its words scattered is often the wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.types import FloatArray

__all__ = ["BLOCK", "FEATURES", "best_matches", "interact", "unit"]

BLOCK = 16
"""Tokens of a block; a stretch is two neighbouring blocks."""
FEATURES = 2
"""Of one layer: the match with the whole passage, and with its best stretch."""


def best_matches(query: FloatArray, passages: Sequence[FloatArray]) -> list[FloatArray]:
    """Return how well each query token is matched by each stretch of each passage.

    Args:
        query: ``(query_rows, dim)`` float32 of unit length.
        passages: arrays ``(rows, dim)`` float32 of unit length.

    Returns:
        For each passage ``(stretches, query_rows)`` float32, the highest cosine in each stretch;
        no stretches where the passage or the query has no rows.
    """
    filled = [passage for passage in passages if len(passage)]
    nothing = np.zeros((0, len(query)), dtype=np.float32)
    if not filled or not len(query):
        return [nothing] * len(passages)
    ends = np.cumsum([len(passage) for passage in filled])
    starts = ends - [len(passage) for passage in filled]
    edges = [np.arange(start, end, BLOCK) for start, end in zip(starts, ends, strict=True)]
    cosines = query @ np.concatenate(filled).T
    blocks = np.maximum.reduceat(cosines, np.concatenate(edges), axis=1).T
    own = iter(np.split(blocks, np.cumsum([len(edge) for edge in edges])[:-1]))
    return [_stretches(next(own)) if len(passage) else nothing for passage in passages]


def _stretches(blocks: FloatArray) -> FloatArray:
    """Join neighbouring blocks, each with the next; a single block stays as it is."""
    return blocks if len(blocks) == 1 else np.maximum(blocks[:-1], blocks[1:])


def interact(matches: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Sum the matches up by the weights of the query's tokens.

    Args:
        matches: what ``best_matches`` returned.
        weights: ``(query_rows,)`` float32 that sum to 1.

    Returns:
        ``(passages, FEATURES)`` float32, cosines: of the whole passage, and of the best stretch; 0
        where there is nothing to match.
    """
    rows = [
        (match.max(axis=0) @ weights, (match @ weights).max()) if match.size else (0.0, 0.0)
        for match in matches
    ]
    return np.array(rows, dtype=np.float32).reshape(len(matches), FEATURES)


def unit(rows: FloatArray) -> FloatArray:
    """Return rows of unit length."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)
