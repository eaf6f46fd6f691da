"""Which process has an index folder: it locks ``holder.json`` there and writes its name into it.

The engine has a lock of its own, which it lets go before the manifest of a close is written, and
which says nothing about its holder.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivec.errors import CollectionLockedError

__all__ = ["NAME", "Hold", "held_elsewhere", "take"]

NAME = "holder.json"


class Hold:
    """A folder that this process has taken.

    Args:
        path: of the locked file.
        handle: the locked file; None where the folder or the platform has no such locks.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self._path = path
        self._handle = handle

    def sign(self) -> None:
        """Write this process's name, for the message that another one gives."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._handle, json.dumps(_this_process()).encode(), 0)

    def close(self) -> None:
        """Let the folder go."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                if _is_at(handle, self._path):
                    self._path.unlink()
            os.close(handle)

    def forget(self) -> None:
        """Close a forked process's copy; the folder stays with the process that took it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def take(folder: Path) -> Hold:
    """Take an index folder for this process.

    Raises:
        CollectionLockedError: another process has it, or a part of this one.
    """
    path = folder / NAME
    while True:
        try:
            import fcntl

            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except (ImportError, OSError):  # the engine's own lock remains
            return Hold(path, None)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            os.close(handle)
            raise held_elsewhere(folder) from err
        except OSError:  # a file system without locks
            os.close(handle)
            return Hold(path, None)
        if _is_at(handle, path):
            os.ftruncate(handle, 0)
            return Hold(path, handle)
        os.close(handle)  # the one before let go in between, and took its file away


def held_elsewhere(folder: Path) -> CollectionLockedError:
    """Return the error for a folder that somebody has, with who it is and how to let go."""
    return CollectionLockedError(
        f"the index in {folder} is open elsewhere, {_holder(folder / NAME)}, and one process at a "
        "time may use it; end that process, or let it close the index (close(), 'with', a "
        "notebook's kernel restarted), or use a Qdrant server for several"
    )


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        pid, host, program = int(said["pid"]), str(said["host"]), str(said["program"])
    except (OSError, ValueError, KeyError, TypeError):
        return "in a process that left no name"
    if host != socket.gethostname():
        return f"in process {pid} ({program!r}) on {host!r}"
    return "in this process" if pid == os.getpid() else f"in process {pid} ({program!r})"


def _this_process() -> Mapping[str, Any]:
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else Path(sys.executable).name
    return {"pid": os.getpid(), "host": socket.gethostname(), "program": program}


def _is_at(handle: int, path: Path) -> bool:
    """Say whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
