"""A small random model in the BGE-M3 format, so that tests run the real loading code."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._runtime.dependencies import unavailable
from trivec._runtime.typed import checked
from trivec.testing.backbone import Backbone, save_tokenizer

if TYPE_CHECKING:
    import torch

__all__ = ["build_tiny_m3"]


@checked
def build_tiny_m3(
    folder: Path,
    *,
    seed: int = 0,
    hidden_size: int = 32,
    layers: int = 2,
    attention_heads: int = 2,
    colbert_dim: int | None = None,
    vocabulary_size: int | None = None,
) -> Path:
    """Write a random model of BGE-M3's architecture: XLM-RoBERTa, tokenizer, both heads.

    Equal arguments give equal files. The sparse head yields both zero and positive weights. With
    ``hidden_size=1024, layers=24, attention_heads=16, vocabulary_size=250_002`` it has
    BGE-M3's size, and so its speed.

    Args:
        folder: where to write; made if absent.
        seed: of the random weights.
        hidden_size: width of the encoder and of the dense vector.
        layers: how many.
        attention_heads: of each layer; divides ``hidden_size``.
        colbert_dim: width of a ColBERT row; None is ``hidden_size``.
        vocabulary_size: rows of the embedding, at least the tokenizer's; None is just those.

    Returns:
        The folder.

    Raises:
        InputError: the sizes do not fit together.
        MissingDependencyError: the extra ``flag`` is not installed.
    """
    try:
        import torch
        from safetensors.torch import save_file
        from transformers import XLMRobertaModel
    except ImportError as err:
        raise unavailable(err, "transformers", "flag") from err
    config = Backbone(hidden_size, layers, attention_heads, vocabulary_size).config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = XLMRobertaModel(config)
        heads = {
            "sparse_linear.pt": _random_head(hidden_size, 1),
            "colbert_linear.pt": _random_head(hidden_size, colbert_dim or hidden_size),
        }
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    for name, head in heads.items():
        torch.save(head, folder / name)
    save_tokenizer(folder)
    return folder


def _random_head(inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    import torch

    # inputs of unit variance give outputs of unit variance: most sparse weights are positive
    return {
        "weight": torch.randn(outputs, inputs) / math.sqrt(inputs),
        "bias": torch.ones(outputs),
    }
