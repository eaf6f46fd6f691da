"""Reads safetensors: a length, a JSON header, and the tensors one after another.

https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trivec._models.stored_tensor import NUMBERS, StoredTensor, contiguous
from trivec.errors import ModelError

__all__ = ["read_safetensors"]

_LENGTH_BYTES = 8
_MOST_HEADER = 100_000_000  # as in the format's own library
_KINDS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(file: Path) -> dict[str, StoredTensor]:
    """Return where each tensor of a file lies.

    Raises:
        ModelError: the file is not whole, or its header contradicts itself.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        start, size = _LENGTH_BYTES + length, file.stat().st_size
        if length > _MOST_HEADER or start > size:
            raise ModelError(
                f"{file} is not a safetensors file, or is cut off: it has {size} bytes and names a "
                f"header of {length}; download it again"
            )
        header = stream.read(length)
    try:
        entries = json.loads(header, object_pairs_hook=_without_twins)
        entries.pop("__metadata__", None)
        tensors = {name: _tensor(file, name, entry, start) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ModelError(f"the header of {file} is damaged ({err!r}); download it again") from err
    _check_places(file, tensors, start, size)
    return tensors


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice")
    return values


def _tensor(file: Path, name: str, entry: Mapping[str, Any], start: int) -> StoredTensor:
    kind, (begin, end) = entry["dtype"], entry["data_offsets"]
    if kind not in _KINDS:
        raise ModelError(
            f"{file}: the tensor {name!r} is of type {kind!r}; what can be read is "
            f"{', '.join(_KINDS)}"
        )
    shape = tuple(entry["shape"])
    tensor = StoredTensor(name, file, _KINDS[kind], shape, contiguous(shape), start + begin)
    if end - begin != _bytes_of(tensor):
        raise ModelError(
            f"{file} is damaged: the tensor {name!r} of shape {shape} in {kind} has "
            f"{end - begin} bytes"
        )
    return tensor


def _bytes_of(tensor: StoredTensor) -> int:
    return tensor.count * np.dtype(NUMBERS[tensor.kind]).itemsize


def _check_places(file: Path, tensors: Mapping[str, StoredTensor], start: int, size: int) -> None:
    """Require that tensors follow one another to the end of the file, as the format has it."""
    ordered = sorted(tensors.values(), key=lambda tensor: (tensor.offset, _bytes_of(tensor)))
    for tensor in ordered:
        if tensor.offset != start:
            raise ModelError(
                f"{file} is damaged: the tensor {tensor.name!r} begins at byte {tensor.offset}, "
                f"and the one before it ends at {start}"
            )
        start += _bytes_of(tensor)
    if start != size:
        raise ModelError(
            f"{file} has {size} bytes, and its tensors end at {start}; download it again"
        )
