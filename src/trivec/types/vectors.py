"""Vectors, and what identifies the encoder that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivec._runtime.checks import check_least, shown
from trivec._runtime.typed import checked
from trivec.errors import InputError

__all__ = ["ALL_HEADS", "EncoderInfo", "Encoding", "FloatArray", "Head", "SparseVector", "Vector"]

FloatArray: TypeAlias = NDArray[np.float32]
"""An array of float32."""

Head: TypeAlias = Literal["dense", "sparse", "colbert"]
"""An output of a model of BGE-M3's shape."""

ALL_HEADS: tuple[Head, ...] = ("dense", "sparse", "colbert")
"""Every head, in the order in which encoders list them."""


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """A sparse vector: token (or term) indices and their weights.

    Attributes:
        indices: ``(n,)`` uint32, strictly ascending.
        values: ``(n,)`` float32.
    """

    indices: NDArray[np.uint32]
    values: FloatArray

    @classmethod
    @checked
    def from_mapping(cls, weights: Mapping[int, float]) -> SparseVector:
        """Build from ``{index: weight}``.

        Raises:
            InputError: an index is not an unsigned integer of 32 bits.
        """
        order = sorted(weights)
        if order and not 0 <= order[0] <= order[-1] < 2**32:
            odd = order[0] if order[0] < 0 else order[-1]
            raise InputError(f"index {shown(odd)}; allowed: unsigned integers of 32 bits")
        with np.errstate(over="ignore"):  # infinity is found where vectors are checked
            values = np.array([weights[index] for index in order], dtype=np.float32)
        return cls(np.array(order, dtype=np.uint32), values)

    def to_mapping(self) -> dict[int, float]:
        """Return ``{index: weight}`` in Python numbers."""
        return dict(zip(self.indices.tolist(), self.values.tolist(), strict=True))

    @checked
    def dot(self, other: SparseVector) -> float:
        """Return the dot product with another sparse vector.

        Raises:
            InputError: one of the two is none: it has other indices than they must be.
        """
        for vector in (self, other):
            ordered = np.ndim(vector.indices) == 1 and bool(np.all(np.diff(vector.indices) > 0))
            if not ordered or np.shape(vector.indices) != np.shape(vector.values):
                raise InputError(
                    f"{shown(vector)} is not a sparse vector; allowed: ascending indices, each "
                    "once, with a value for each"
                )
        _, places, other_places = np.intersect1d(
            self.indices, other.indices, assume_unique=True, return_indices=True
        )
        return float(np.dot(self.values[places], other.values[other_places]))

    @checked
    def top(self, count: int) -> SparseVector:
        """Return the ``count`` heaviest entries, still sorted by index.

        Raises:
            InputError: a negative count.
        """
        check_least("count", count, 0)
        if count >= len(self.indices):
            return self
        keep = np.sort(np.argpartition(-self.values, count)[:count])
        return SparseVector(self.indices[keep], self.values[keep])

    def __len__(self) -> int:
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return np.array_equal(self.indices, other.indices) and np.array_equal(
            self.values, other.values
        )

    __hash__ = None  # type: ignore[assignment]  # mutable arrays inside


Vector: TypeAlias = FloatArray | SparseVector
"""A dense vector ``(dim,)``, a multivector ``(rows, dim)``, or a sparse vector."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """What one forward pass yields for one text; a head that was not asked for is None.

    Attributes:
        dense: ``(dim,)`` float32.
        sparse: token ids and learned weights; special and instruction tokens left out.
        colbert: ``(tokens, dim)`` float32, without CLS and without instruction tokens.
        tokens: how many tokens the model read, special and instruction tokens included.
        truncated: True when the text was longer than the model's maximal length.
    """

    dense: FloatArray | None = None
    sparse: SparseVector | None = None
    colbert: FloatArray | None = None
    tokens: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What identifies an encoder's output: two encoders with equal info give equal vectors.

    Attributes:
        model: the name or path it was loaded from.
        revision: the hub commit or converter version, if known.
        weights: sha256 over the weight and head files.
        tokenizer: sha256 of the tokenizer file; names the space of the sparse indices.
        dense_dim: width of the dense vector.
        colbert_dim: width of a ColBERT row, None without that head.
        heads: the heads it can compute.
        pooling: ``cls`` or ``mean``.
        normalized: whether dense and ColBERT vectors have unit length.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        max_length: tokens read of a passage; the rest is cut off.
        query_instruction: text put before a query.
        passage_instruction: text put before a passage.
    """

    model: str
    weights: str
    dense_dim: int
    revision: str | None = None
    tokenizer: str | None = None
    colbert_dim: int | None = None
    heads: tuple[Head, ...] = ALL_HEADS
    pooling: str = "cls"
    normalized: bool = True
    precision: str = "fp32"
    max_length: int = 8192
    query_instruction: str = ""
    passage_instruction: str = ""
