"""Files that are whole or not there, and work that goes on where it was ended."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from trivec.errors import CollectionLockedError

__all__ = ["ResumedLines", "alone_in", "written_whole"]

logger = logging.getLogger(__name__)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its place when all is written; a failure leaves what was there.

    Two processes may write the same file: the last one's stays, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time write into a folder; what a killed one left is removed.

    Raises:
        CollectionLockedError: another process writes there.
    """
    import portalocker

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as stream:
        try:
            portalocker.lock(
                stream, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
            )
        except portalocker.LockException as err:
            raise CollectionLockedError(
                f"another process makes a dataset in {folder}; wait for it, or name another folder"
            ) from err
        for partial in folder.rglob(".*.partial"):
            partial.unlink(missing_ok=True)
        yield


class ResumedLines:
    """Results by key, each in a line of a file as soon as it is known.

    Args:
        path: the file.
        about: what the results follow from; a file about something else is begun anew.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.known: dict[str, Any] = {}
        self._path = path
        self._about = orjson.dumps(dict(about), option=orjson.OPT_SORT_KEYS) + b"\n"
        self._file: IO[bytes] | None = None
        self._whole = self._read() if path.is_file() else 0

    @contextmanager
    def open(self) -> Iterator[ResumedLines]:
        """Keep the file open for what is added; a line that was cut off is gone."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("r+b" if self._whole else "wb") as self._file:
            self._file.truncate(self._whole)
            self._file.seek(self._whole)
            if not self._whole:
                self._file.write(self._about)
            yield self
        self._file = None

    def add(self, key: str, result: Any) -> None:
        """Keep a result; it is in the file when this returns."""
        self.known[key] = result
        if self._file is not None:
            self._file.write(orjson.dumps([key, result]) + b"\n")
            self._file.flush()

    def _read(self) -> int:
        """Read the whole lines, and return how many bytes they are."""
        with self._path.open("rb") as lines:
            if next(lines, b"") != self._about:
                logger.warning(
                    "%s follows from other passages, options or another model; it is begun anew",
                    self._path,
                )
                return 0
            whole = len(self._about)
            for line in lines:
                if not line.endswith(b"\n"):  # the process was killed in the middle of it
                    break
                try:
                    key, result = orjson.loads(line)
                except ValueError:
                    break
                self.known[key] = result
                whole += len(line)
        return whole
