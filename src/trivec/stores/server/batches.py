"""Cutting a write into requests that a server accepts: by bytes, not by count alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = [
    "MAX_POINTS",
    "batches",
]

T = TypeVar("T")

MAX_BYTES = 24_000_000
"""Qdrant accepts 32 MB (``service.max_request_size_mb``)."""

MAX_POINTS = 256


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
