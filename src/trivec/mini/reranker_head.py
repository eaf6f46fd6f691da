"""The numbers of the reranker ``mini``: from token states to a logit for each passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np

from trivec._models.weights import read_tensors
from trivec.mini.interaction import best_matches, interact, unit
from trivec.types import FloatArray

__all__ = ["MINI_RERANKER", "MiniHead", "load_head"]

MINI_RERANKER = "reranker.safetensors"
LEAST_WEIGHT = 1e-4
"""Of a query token; the rectified weights of a whole query may be 0."""


@dataclass(frozen=True, slots=True, eq=False)
class MiniHead:
    """What turns the matches of tokens into a logit.

    Attributes:
        token: ``(dim,)`` float32, from the last layer's state of a query token to its weight.
        token_bias: ``(1,)`` float32.
        scale: ``(1,)`` float32, from the mean of the matches to the logit.
        bias: ``(1,)`` float32.
    """

    token: FloatArray
    token_bias: FloatArray
    scale: FloatArray
    bias: FloatArray

    def logits(self, asked: FloatArray, passages: Sequence[FloatArray]) -> FloatArray:
        """Return the logit of every passage.

        Args:
            asked: states ``(layers, tokens, dim)`` float32 of the query.
            passages: the same of the passages, of unit length.
        """
        return np.asarray(self.matches(asked, passages) * self.scale + self.bias, dtype=np.float32)

    def matches(self, asked: FloatArray, passages: Sequence[FloatArray]) -> FloatArray:
        """Return ``(passages,)`` float32: cosines, the mean over layers, passage and stretch."""
        weights = self.token_weights(asked[-1])
        features = [
            interact(best_matches(unit(rows), [one[layer] for one in passages]), weights)
            for layer, rows in enumerate(asked)
        ]
        means: FloatArray = np.concatenate(features, axis=1).mean(axis=1)
        return means

    def token_weights(self, states: FloatArray) -> FloatArray:
        """Return the weights of the query's tokens, which sum to 1."""
        weights = np.maximum(states @ self.token + self.token_bias, 0.0) + LEAST_WEIGHT
        return np.asarray(weights / max(weights.sum(), LEAST_WEIGHT), dtype=np.float32)


def load_head() -> MiniHead:
    """Return the shipped numbers."""
    with as_file(files("trivec.mini") / MINI_RERANKER) as file:
        data = read_tensors(file)
    return MiniHead(data["token.weight"], data["token.bias"], data["scale"], data["bias"])
