"""A tensor that lies in a file: its type and shape are known, its numbers are read when asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec.errors import ModelError
from trivec.types import FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NUMBERS", "StoredTensor", "contiguous"]

NUMBERS = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",  # the upper half of a float32, which numpy has no type for
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "i1",
    "uint8": "u1",
    "bool": "?",
}
"""How the numbers of each type lie in a file."""

_BLOCK = 2**22  # numbers widened at a time
_MOST_DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in a file.

    Attributes:
        name: in the file, for messages.
        file: the file.
        kind: of its numbers, one of ``NUMBERS``.
        shape: its sizes.
        strides: steps of each dimension, in numbers.
        offset: of its first number, in bytes.

    Raises:
        ModelError: sizes or strides are not those of a tensor.
    """

    name: str
    file: Path
    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def __post_init__(self) -> None:
        sizes = (*self.shape, *self.strides, self.offset)
        are_numbers = all(type(size) is int and size >= 0 for size in sizes)
        if not are_numbers or len(self.shape) != len(self.strides):
            raise ModelError(
                f"{self.file} is damaged: the tensor {self.name!r} has shape {self.shape!r}, "
                f"strides {self.strides!r} and offset {self.offset!r}"
            )
        # more numbers than lie in the file would be a few bytes that fill the memory
        if len(self.shape) > _MOST_DIMENSIONS or self.count > self.extent:
            raise ModelError(
                f"{self.file}: the tensor {self.name!r} of shape {self.shape!r} repeats its "
                "numbers; save a contiguous copy of it"
            )

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def extent(self) -> int:
        """How many numbers lie between its first and its last, both included."""
        if not self.count:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in steps)

    def read(self) -> FloatArray:
        """Return it as float32: a read-only view of the mapped file, else a widened copy."""
        numbers = self._mapped(0, self.extent)
        if self.kind == "float32":
            return self._arranged(numbers)
        widened = np.empty(self.extent, np.float32)
        for start in range(0, self.extent, _BLOCK):
            # mapped again and again: what was read leaves the memory
            part = self._mapped(start, min(_BLOCK, self.extent - start))
            widened[start : start + len(part)] = _widened(part, self.kind)
        return self._arranged(widened)

    def _mapped(self, start: int, count: int) -> NDArray[Any]:
        kind = np.dtype(NUMBERS[self.kind])
        if not count:  # nothing cannot be mapped
            return np.empty(0, kind)
        try:
            place = self.offset + start * kind.itemsize
            return np.asarray(np.memmap(self.file, kind, "r", place, (count,)))
        except (OSError, ValueError) as err:
            raise ModelError(f"{self.file} cannot be read ({err}); download it again") from err

    def _arranged(self, numbers: FloatArray) -> FloatArray:
        if self.strides == contiguous(self.shape):
            return numbers.reshape(self.shape)
        steps = tuple(stride * numbers.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(numbers, self.shape, steps, writeable=False)
        return np.ascontiguousarray(view)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor whose numbers lie one after another, in numbers."""
    steps = [1]
    for size in shape[:0:-1]:
        steps.append(steps[-1] * max(size, 1))
    return tuple(reversed(steps)) if shape else ()


def _widened(numbers: NDArray[Any], kind: str) -> FloatArray:
    if kind == "bfloat16":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32)
