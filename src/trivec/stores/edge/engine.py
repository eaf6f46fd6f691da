"""The engine of an index folder: one for all stores of this process, one process at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trivec.errors import (
    CollectionLockedError,
    CollectionNotFoundError,
    StoreError,
    TrivecError,
)
from trivec.schema import Schema
from trivec.stores.edge.failures import engine_errors
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.holder import Hold, take
from trivec.stores.edge.loading import count_points, load
from trivec.stores.edge.sealing import seal
from trivec.stores.edge.space import require_space

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["Engine", "join", "let_go", "require_schema"]

logger = logging.getLogger(__name__)

_GONE = (
    "the folder {} was deleted, moved or replaced while it was open; what it held is no longer "
    "there; close this store, and open the folder where it is now, or index again"
)

Identity: TypeAlias = tuple[int, int]

_FLUSH_SECONDS = 5.0  # Qdrant's own flush_interval_sec
_POLL_SECONDS = 0.02


class Engine:
    """An opened index folder.

    Every store that uses it joins and leaves; the last to leave closes it.

    Args:
        folder: what is open, by its real path.
        shard: the engine's object.
        hold: this process's claim on the folder.
    """

    def __init__(self, folder: IndexFolder, shard: qdrant_edge.EdgeShard, hold: Hold) -> None:
        self.folder = folder
        self.identity = _identity(folder)
        self.users = 0
        self._shard = shard
        self._hold = hold
        self._process = os.getpid()
        self._flushed = time.monotonic()
        self._written = False

    @contextlib.contextmanager
    def use(self, writing: int | None = None) -> Iterator[qdrant_edge.EdgeShard]:
        """Yield the engine's object; its errors become trivec's.

        Args:
            writing: about how many bytes will be written; None where it only reads.

        Raises:
            StoreError: the folder is gone, the disk is nearly full, this process was forked from
                the one that opened the folder, or the engine fails.
        """
        path = self.folder.path
        if self._process != os.getpid():
            raise StoreError(
                f"the index in {path} was opened before this process was forked and cannot be "
                "used here; open stores after forking, or start processes with 'spawn'"
            )
        self._require_there()
        if writing is not None:
            require_space(path, writing, "this write")
            self._written = True
        with engine_errors(path):
            yield self._shard
            if writing is not None:
                self._flush_now_and_then()
                self._require_there()  # it may have gone during the write

    def _require_there(self) -> None:
        if self._is_gone():
            raise StoreError(_GONE.format(self.folder.path))

    def _flush_now_and_then(self) -> None:
        """Force to the disk what was written, once in some seconds.

        That also keeps the write-ahead log short, which is replayed when the folder is opened.
        """
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self._shard.flush()
            self._flushed = time.monotonic()

    def leave(self) -> None:
        """Count one user less; the last one closes the folder, the others flush.

        Raises:
            StoreError: the engine fails.
        """
        if self._process != os.getpid():
            return  # a forked process must not touch the files
        with _opening, engine_errors(self.folder.path):
            self.users -= 1
            if self.users:
                self._shard.flush()
                return
            _engines.pop(self.identity, None)
            try:
                self._close()
            finally:
                self._hold.close()

    def _close(self) -> None:
        if self._is_gone():
            if self._written:
                logger.warning("%s", _GONE.format(self.folder.path))
            with contextlib.suppress(Exception):
                self._shard.close()
            return
        try:
            points = count_points(self._shard)
            self._shard.flush()
        finally:
            self._shard.close()
        seal(self.folder, points, written=self._written)

    def disown(self) -> None:
        """Close a forked process's copies of the locks: it would hold them after its parent."""
        self._hold.forget()
        with contextlib.suppress(OSError):
            for name in os.listdir("/dev/fd"):  # noqa: PTH208  # their names are numbers
                with contextlib.suppress(OSError):
                    status = os.fstat(int(name))
                    if (status.st_dev, status.st_ino) == self.identity:
                        os.close(int(name))

    def _is_gone(self) -> bool:
        """Say whether the folder is no more the one that was opened."""
        return _identity(self.folder) != self.identity


def join(path: Path, wait: float) -> Engine:
    """Return the engine of a folder, with one user more; open it where no store has it open.

    Args:
        path: the folder.
        wait: seconds to wait for another process that has it open.

    Raises:
        CollectionNotFoundError: there is no index.
        CollectionLockedError: another process has it open for longer than that.
        StoreError: the index is damaged.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            with _opening:
                folder = IndexFolder(Path(os.path.realpath(path)))
                engine = _engines.get(_identity(folder)) or _opened(folder)
                engine.users += 1
                return engine
        except CollectionLockedError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS)


def let_go(leave: Callable[[], None]) -> None:
    """Leave for a store that was dropped, or that a program left open when it ended."""
    try:
        leave()
    except TrivecError as err:
        logger.warning("%s", err)


def require_schema(folder: IndexFolder) -> Schema:
    """Return what an index holds.

    Raises:
        CollectionNotFoundError: there is none.
    """
    schema = folder.schema()
    if schema is None:
        raise CollectionNotFoundError(
            f"there is no index in {folder.path}; create it, or check the path"
        )
    return schema


def _opened(folder: IndexFolder) -> Engine:
    require_schema(folder)
    hold = take(folder.path)
    try:
        # read again: the process that had it may have changed it
        folder = IndexFolder(folder.path)
        engine = Engine(folder, load(folder, require_schema(folder)), hold)
    except BaseException:
        hold.close()
        raise
    hold.sign()
    _engines[engine.identity] = engine
    return engine


def _identity(folder: IndexFolder) -> Identity | None:
    """Return what the engine locks: a folder that it has open, so that no other has its number.

    A path would not do: a folder may be deleted and made anew while a store still has the old one.
    """
    try:
        status = (folder.shard / "wal").stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


_engines: dict[Identity | None, Engine] = {}
_opening = threading.RLock()
_inherited: list[Engine] = []


def _begin_anew() -> None:
    """Keep a forked process from destroying its copies of engines, which could touch the files."""
    global _opening  # noqa: PLW0603  # another thread may have held it
    _opening = threading.RLock()
    for engine in _engines.values():
        engine.disown()
    _inherited.extend(_engines.values())
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
