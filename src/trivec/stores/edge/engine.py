"""The engine of a folder: one for all stores of this process, and one process at a time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.errors import CollectionLockedError, StoreError, TrivecError
from trivec.schema import Schema
from trivec.stores.edge import codec
from trivec.stores.edge.folder import IndexFolder

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["Engine", "engine_of", "errors"]

logger = logging.getLogger(__name__)

_LOCKED = "WouldBlock"
_INCOMPATIBLE = "incompatible with existing segments"
_POLL_SECONDS = 0.05


class Engine:
    """An opened folder; the stores that use it say so, and the last one to leave closes it.

    Args:
        folder: what is open.
        shard: the engine's object.
    """

    def __init__(self, folder: IndexFolder, shard: qdrant_edge.EdgeShard) -> None:
        self.shard = shard
        self.process = os.getpid()
        self.lock_file = _lock_file(folder)
        self._folder = folder
        self._users: weakref.WeakSet[object] = weakref.WeakSet()

    def enter(self, user: object) -> None:
        """Count a store among the users."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """Flush; close the folder where nobody else uses it."""
        with _opening:
            self._users.discard(user)
            self.shard.flush()
            if not self._users:
                self._folder.holder.unlink(missing_ok=True)
                _engines.pop(self.lock_file, None)
                self.shard.close()


def engine_of(folder: IndexFolder, schema: Schema, user: object, wait: float) -> Engine:
    """Return the engine of a folder, opened now if no other store of this process has it.

    Args:
        folder: the index.
        schema: what it holds.
        user: the store that will use it.
        wait: seconds to wait for another process.

    Raises:
        CollectionLockedError: another process has it open for longer than that.
    """
    deadline = time.monotonic() + wait
    while True:
        with _opening, errors(folder):
            engine = _engines.get(_lock_file(folder))
            if engine is None:
                engine = _opened(folder, schema, is_last_try=time.monotonic() >= deadline)
            if engine is not None:
                engine.enter(user)
                return engine
        time.sleep(_POLL_SECONDS)


def _opened(folder: IndexFolder, schema: Schema, *, is_last_try: bool) -> Engine | None:
    """Open a folder; None where another process has it, and there is time to try again."""
    try:
        shard = _load(folder, schema)
    except Exception as err:
        if _LOCKED in str(err) and not is_last_try:
            return None
        raise
    engine = _engines[_lock_file(folder)] = Engine(folder, shard)
    with contextlib.suppress(OSError):  # it serves a message alone
        folder.holder.write_text(json.dumps(_this_process()), encoding="utf-8")
    return engine


def _load(folder: IndexFolder, schema: Schema) -> qdrant_edge.EdgeShard:
    """Open the engine's folder; make it first where it is missing."""
    import qdrant_edge as edge

    if not folder.shard.exists():
        _build(folder, schema)
    path = str(folder.shard)
    try:  # with the configuration, because a vector that was added has the engine's defaults
        shard = edge.EdgeShard.load(path, codec.edge_config(schema))
    except Exception as err:
        if _INCOMPATIBLE not in str(err):
            raise
        # adding a vector was interrupted before the description named it
        shard = edge.EdgeShard.load(path)
    for leftover in folder.unfinished():  # of a crash, or of a process that came second
        shutil.rmtree(leftover, ignore_errors=True)
    return shard


def _build(folder: IndexFolder, schema: Schema) -> None:
    """Make the engine's folder beside its place and move it there whole."""
    import qdrant_edge as edge

    unfinished = Path(tempfile.mkdtemp(prefix=folder.UNFINISHED, dir=folder.path))
    shard = edge.EdgeShard.create(str(unfinished), codec.edge_config(schema))
    for operation in codec.index_operations(schema):
        shard.update(operation)
    shard.flush()
    shard.close()
    try:
        unfinished.rename(folder.shard)
    except OSError as err:
        if not folder.shard.exists():
            raise
        logger.debug("another process created the index first: %s", err)


def _lock_file(folder: IndexFolder) -> tuple[int, int] | None:
    """Return what the engine locks: a folder that it holds open, so that no other has its number.

    A path would not do: a folder may be deleted and made anew while a store still has the old one.
    """
    try:
        found = (folder.shard / "wal").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def errors(folder: IndexFolder) -> Iterator[None]:
    """Turn what the engine raises, plain ``Exception`` for the most part, into trivec's errors."""
    try:
        yield
    except TrivecError:
        raise
    except Exception as err:
        reason = str(err).splitlines()[0]
        if _LOCKED in reason:
            raise CollectionLockedError(
                f"the index in {folder.path} is open elsewhere, {_holder(folder)}, and one process "
                "at a time may use it; end that process, or let it close the index (close(), "
                "'with', a notebook's kernel restarted), or use a Qdrant server for several"
            ) from err
        raise StoreError(f"the engine failed on the index in {folder.path}: {reason}") from err


def _this_process() -> dict[str, Any]:
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else Path(sys.executable).name
    return {"pid": os.getpid(), "host": socket.gethostname(), "program": program}


def _holder(folder: IndexFolder) -> str:
    """Say which process has a folder open, as it wrote there itself."""
    try:
        said = json.loads(folder.holder.read_text(encoding="utf-8"))
        pid, host, program = int(said["pid"]), str(said["host"]), str(said["program"])
    except (OSError, ValueError, KeyError, TypeError):
        return "in a process that left no name"
    where = "" if host == socket.gethostname() else f" on {host!r}"
    return f"in the process {pid} ({program!r}){where}"


_engines: weakref.WeakValueDictionary[tuple[int, int] | None, Engine] = (
    weakref.WeakValueDictionary()
)
_opening = threading.RLock()
_inherited: list[Engine] = []


def _begin_anew() -> None:
    """Keep a forked child from destroying its copies of engines, which could touch the files."""
    global _opening  # noqa: PLW0603  # another thread may have held it
    _opening = threading.RLock()
    _inherited.extend(_engines.values())
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
