"""Folders that are made once and kept in the cache folder: whole, or not there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["made_once"]

logger = logging.getLogger(__name__)


def made_once(folder: Path, write: Callable[[Path], None], *, what: str) -> Path:
    """Return a folder, made now if it is not there yet.

    It is written beside its place and renamed, so that a folder that exists is whole. Of several
    processes one writes and the others wait. What a killed process left is removed.

    Args:
        folder: its place.
        write: fills an empty folder.
        what: is made, for the log.

    Raises:
        OSError: it cannot be written or locked.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():  # another process was first
            return folder
        logger.info("making %s in %s, once", what, folder)
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            write(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    import portalocker

    with file.open("a") as stream:
        try:
            portalocker.lock(stream, portalocker.LockFlags.EXCLUSIVE)
        except portalocker.LockException as err:
            raise OSError(f"{file} cannot be locked: {err}") from err
        yield
