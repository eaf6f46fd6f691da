"""Free space on the disk, asked for before a write.

The engine writes through mapped memory, where a full disk is a signal (SIGBUS) that ends the
process.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from trivec.errors import StoreError
from trivec.types import Point, SparseVector

__all__ = ["points_bytes", "require_space", "used_bytes"]

RESERVE = 32 << 20
"""Bytes that must stay free: a segment of the engine's log."""

_COPIES = 3
"""A point is written to the log, to its storage, and in part to the payload's indexes."""


def require_space(folder: Path, size: int, doing: str) -> None:
    """Refuse a write for which the disk may be too small.

    Args:
        folder: where it is written.
        size: bytes that it is of.
        doing: what it is, for the message.

    Raises:
        StoreError: nothing was written.
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    needed = _COPIES * size + RESERVE
    if free < needed:
        raise StoreError(
            f"the disk of {folder} has {free >> 20} MB left, and {doing} may need "
            f"{-(-needed >> 20)} MB; nothing of it was written; free some space and do it again"
        )


def points_bytes(points: Sequence[Point]) -> int:
    """Return about how many bytes points are of."""
    total = 0
    for point in points:
        total += 64 + len(json.dumps(point.payload, default=str))
        for vector in point.vectors.values():
            total += 8 * len(vector) if isinstance(vector, SparseVector) else 4 * vector.size
    return total


def used_bytes(folder: Path) -> int:
    """Return how much of the disk a folder takes; holes in files take nothing."""
    statuses = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(getattr(status, "st_blocks", status.st_size // 512) * 512 for status in statuses)
