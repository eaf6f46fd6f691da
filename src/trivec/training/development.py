"""How well a network in training finds what it should: every query over all passages at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trivec.training.batches import Candidate
from trivec.training.losses import scores_of
from trivec.training.network import Outputs
from trivec.training.states import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["ARMS", "in_pieces", "ndcg_by_arm"]

ARMS = ("dense", "sparse")
"""The arms that are judged while training: ColBERT re-scores what these find."""
CUTOFF = 10
AT_ONCE = 64


def ndcg_by_arm(
    outputs: Callable[[Sequence[int]], Outputs],
    examples: Sequence[Candidate],
    pool: Sequence[int],
    unused: Tensor,
) -> dict[str, NDArray[np.float64]]:
    """Return nDCG@10 of every query by arm ``(queries,)``, all its positives relevant.

    Args:
        outputs: gives what a network makes of texts, by their numbers.
        examples: the queries; their positives are in the pool.
        pool: the numbers of the passages that are searched.
        unused: special tokens.
    """
    import torch

    with torch.no_grad():
        passages = in_pieces(outputs, pool)
        found: dict[str, list[float]] = {arm: [] for arm in ARMS}
        place = {passage: at for at, passage in enumerate(pool)}
        for start in range(0, len(examples), AT_ONCE):
            part = examples[start : start + AT_ONCE]
            asked = list(dict.fromkeys(one.query for one in part))
            rows = {query: at for at, query in enumerate(asked)}
            scores = scores_of(outputs(asked), passages, unused, ARMS)
            for arm, matrix in scores.items():
                for one in part:
                    right = [place[passage] for passage in one.positives]
                    found[arm].append(_ndcg(matrix[rows[one.query]].numpy(), right))
    return {arm: np.array(values) for arm, values in found.items()}


def in_pieces(outputs: Callable[[Sequence[int]], Outputs], numbers: Sequence[int]) -> Outputs:
    """Return what a network makes of many texts, without ColBERT rows, which no arm here reads."""
    import torch

    with torch.no_grad():
        parts = [
            _without_rows(outputs(numbers[at : at + AT_ONCE]))
            for at in range(0, len(numbers), AT_ONCE)
        ]
    return joined(parts, torch.arange(len(numbers)))


def _without_rows(outputs: Outputs) -> Outputs:
    return replace(outputs, rows=outputs.rows[:, :0])


def _ndcg(scores: NDArray[np.float32], right: Sequence[int]) -> float:
    """Return nDCG@10; a tie counts against the query, since a dead head ties everything."""
    others = np.delete(scores, right)
    ranks = sorted(
        int((others >= scores[one]).sum()) + at
        for at, one in enumerate(sorted(right, key=lambda one: -scores[one]))
    )
    gain = sum(1 / np.log2(rank + 2) for rank in ranks if rank < CUTOFF)
    ideal = sum(1 / np.log2(rank + 2) for rank in range(min(len(right), CUTOFF)))
    return float(gain / ideal)
