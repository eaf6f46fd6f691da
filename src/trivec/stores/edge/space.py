"""Free space on the disk, asked for before a write.

The engine reads and writes through mapped memory, where a full disk is a signal (SIGBUS) that ends
the process.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from trivec.errors import StoreError
from trivec.types import Point, SparseVector

__all__ = ["points_bytes", "require_room_to_open", "require_space", "used_bytes"]

RESERVE = 32 << 20
"""Bytes that must stay free: a segment of the engine's log."""

_READ_AHEAD = "*.mmap"
"""Files that the engine reads as a whole when it opens them: vectors and their offsets."""

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


def require_room_to_open(folder: Path) -> None:
    """Refuse to map files whose holes would fill a file system in memory (tmpfs) as they are read.

    Raises:
        StoreError: there is too little room.
    """
    if not folder.exists() or _file_system(folder) != "tmpfs":
        return
    holes = sum(
        max(0, path.stat().st_size - _used(path.stat())) for path in folder.rglob(_READ_AHEAD)
    )
    free = shutil.disk_usage(folder).free
    if free < holes:
        raise StoreError(
            f"the index in {folder} lies in memory (tmpfs), where {free >> 20} MB are left, and "
            f"opening it may need {-(-holes >> 20)} MB; free some, or keep the index on a disk"
        )


def _file_system(path: Path) -> str | None:
    """Return the type of the file system that a path is on; None where nobody tells."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}" if hasattr(os, "major") else ""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split()[2:3] == [wanted]:
            return kind.split()[0]
    return None


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
    return sum(_used(path.stat()) for path in folder.rglob("*") if path.is_file())


def _used(status: os.stat_result) -> int:
    return int(getattr(status, "st_blocks", status.st_size // 512)) * 512
