"""The layers whose token states ``mini`` gives away, for its reranker."""

from __future__ import annotations

__all__ = ["LAYERS", "layer_output"]

LAYERS = (10, 12)
"""Of 12. The 10th still tells words apart that the last, made for whole texts, makes alike."""


def layer_output(layer: int) -> str:
    """Return the name of the graph's output with a layer's states."""
    return "token_states" if layer == LAYERS[-1] else f"token_states_{layer}"
