"""A small random cross-encoder in bge-reranker's format, for tests of the real loading code."""

from __future__ import annotations

from pathlib import Path

from trivec._runtime.dependencies import unavailable
from trivec._runtime.typed import checked
from trivec.testing.backbone import Backbone, save_tokenizer

__all__ = ["build_tiny_reranker"]


@checked
def build_tiny_reranker(
    folder: Path,
    *,
    seed: int = 0,
    hidden_size: int = 32,
    layers: int = 2,
    attention_heads: int = 2,
    vocabulary_size: int | None = None,
) -> Path:
    """Write a random model of bge-reranker's architecture: XLM-RoBERTa that classifies pairs.

    Equal arguments give equal files. With ``hidden_size=768, layers=12, attention_heads=12,
    vocabulary_size=250_002`` it has the size of bge-reranker-base, and so its speed.

    Args:
        folder: where to write; made if absent.
        seed: of the random weights.
        hidden_size: width of the encoder.
        layers: how many.
        attention_heads: of each layer; divides ``hidden_size``.
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
        from transformers import XLMRobertaForSequenceClassification
    except ImportError as err:
        raise unavailable(err, "transformers", "flag") from err
    config = Backbone(hidden_size, layers, attention_heads, vocabulary_size).config()
    config.architectures = [XLMRobertaForSequenceClassification.__name__]
    config.num_labels = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = XLMRobertaForSequenceClassification(config)
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    save_tokenizer(folder)
    return folder
