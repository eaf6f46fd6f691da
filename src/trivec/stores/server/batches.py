"""Cutting a write into requests that a server accepts: by bytes, not by count alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trivec.types import Point, SparseVector, Vector

__all__ = [
    "GRPC",
    "MAX_POINTS",
    "REST",
    "Encoding",
    "batches",
    "payload_bytes",
    "point_bytes",
    "vector_bytes",
]

T = TypeVar("T")

MAX_BYTES = 24_000_000
"""Qdrant accepts 32 MB (``service.max_request_size_mb``); the sizes here are estimates."""

MAX_POINTS = 256


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a number costs in a request.

    Attributes:
        value: bytes of a float.
        index: bytes of a sparse index.
    """

    value: int
    index: int


REST = Encoding(value=23, index=11)  # float32 as the JSON of a double, and the comma
GRPC = Encoding(value=4, index=5)


def point_bytes(point: Point, encoding: Encoding) -> int:
    """Estimate the size of a point in a request, rather too high than too low."""
    size = 100 + payload_bytes(point.payload)
    for name, vector in point.vectors.items():
        size += len(name) + 32 + vector_bytes(vector, encoding)
    return size


def vector_bytes(vector: Vector, encoding: Encoding) -> int:
    """Estimate the size of a vector in a request."""
    if isinstance(vector, SparseVector):
        return len(vector) * (encoding.value + encoding.index)
    return vector.size * encoding.value


def payload_bytes(payload: Mapping[str, Any]) -> int:
    """Estimate the size of a payload; ASCII escapes make it an upper bound for UTF-8."""
    return len(json.dumps(payload, default=str))


def batches(
    items: Sequence[T],
    size: Callable[[T], int],
    *,
    max_bytes: int = MAX_BYTES,
    most: int = MAX_POINTS,
) -> Iterator[list[T]]:
    """Yield the items in order, in lists of at most ``most`` and ``max_bytes``.

    An item that alone is larger makes a list of its own: the server has the last word.
    """
    batch: list[T] = []
    filled = 0
    for item in items:
        needed = size(item)
        if batch and (len(batch) >= most or filled + needed > max_bytes):
            yield batch
            batch, filled = [], 0
        batch.append(item)
        filled += needed
    if batch:
        yield batch
