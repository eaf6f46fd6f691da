"""The weights of an XLM-RoBERTa or BERT encoder, by what they are rather than by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec._models.folder import positions, read_config, weight_files
from trivec._models.weights import stored_tensors
from trivec.errors import ModelError
from trivec.types import FloatArray

__all__ = ["Checkpoint", "EncoderShape", "read_checkpoint"]

EXPECTED = "a folder with an XLM-RoBERTa or BERT model"
#: the families whose graph is known, and whether their positions count from the padding id
_FAMILIES = {"xlm-roberta": True, "roberta": True, "bert": False}
_ANCHOR = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """The sizes of an encoder.

    Attributes:
        layers: how many.
        hidden_size: its width.
        attention_heads: of each layer.
        epsilon: of layer normalisation.
        max_length: the most tokens that it has positions for.
        pad: the padding id that positions are counted from; None where they are counted from 0.
    """

    layers: int
    hidden_size: int
    attention_heads: int
    epsilon: float
    max_length: int
    pad: int | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's configuration and weights; a tensor is read when it is asked for.

    Attributes:
        shape: of the encoder.
        prefix: what the encoder's names begin with.
        read: returns a tensor by its whole name, as float32.
    """

    shape: EncoderShape
    prefix: str
    read: Callable[[str], FloatArray]

    def encoder(self, name: str) -> FloatArray:
        """Return a tensor of the encoder."""
        return self.read(self.prefix + name)


def read_checkpoint(path: Path) -> Checkpoint:
    """Open a model's folder.

    Raises:
        ModelError: it is not a folder of a family that can be exported, or is not whole.
    """
    shape = _shape(read_config(path, expected=EXPECTED), path)
    tensors = {
        name: tensor for file in weight_files(path) for name, tensor in stored_tensors(file).items()
    }
    prefix = next((name[: -len(_ANCHOR)] for name in tensors if name.endswith(_ANCHOR)), None)
    if prefix is None:
        raise ModelError(f"the weights in {path} have no {_ANCHOR}; give {EXPECTED}")

    def read(name: str) -> FloatArray:
        if name not in tensors:
            raise ModelError(f"the weights in {path} have no {name!r}; download them again")
        return tensors[name].read()

    return Checkpoint(shape, prefix, read)


def _shape(config: Mapping[str, Any], path: Path) -> EncoderShape:
    family = str(config.get("model_type"))
    activation = config.get("hidden_act", "gelu")
    embedding = config.get("position_embedding_type", "absolute")
    if family not in _FAMILIES or activation != "gelu" or embedding != "absolute":
        raise ModelError(
            f"{path} holds a model of type {family!r} with {activation!r} and {embedding!r} "
            f"positions; graphs are written of {', '.join(_FAMILIES)} with 'gelu' and 'absolute'; "
            "backend='flag' runs others"
        )
    try:
        return EncoderShape(
            layers=int(config["num_hidden_layers"]),
            hidden_size=int(config["hidden_size"]),
            attention_heads=int(config["num_attention_heads"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            max_length=int(positions(config) or 0),
            pad=int(config.get("pad_token_id", 1)) if _FAMILIES[family] else None,
        )
    except KeyError as err:
        raise ModelError(f"{path / 'config.json'} has no {err}; download it again") from err
