"""Files with holes: the engine's are large and mostly empty."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["BLOCK", "copy_folder", "stretches"]

BLOCK = 1 << 16


def stretches(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file of this size holds data, in whole blocks, each once."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    at = 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
        except OSError:  # nothing but a hole follows
            return
        start = max(at, start // BLOCK * BLOCK)
        end = min(size, -(-end // BLOCK) * BLOCK)
        yield start, end
        at = end


def copy_folder(source: Path, target: Path, leave_out: Callable[[Path], bool]) -> None:
    """Copy a folder's files, holes as holes."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        if leave_out(path):
            continue
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(path, copy)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        for start, end in stretches(old.fileno(), size):
            old.seek(start)
            new.seek(start)
            left = end - start
            while left > 0 and (block := old.read(min(left, BLOCK))):
                new.write(block)
                left -= len(block)
        new.truncate(size)
    shutil.copystat(source, target)
