"""What the files of an embedded index were when it was closed: sizes and checksums.

The engine does not notice every damage. A file that is gone can be made anew, empty, and a vector
that is zero is a vector. So the files are listed in ``manifest.json`` when an index is closed, and
compared when it is opened. A file with the size and time that it had is believed; one that was
touched is read. ``trivec check`` reads all of them.

While an index is open its manifest says so, from its creation on. After a crash only the presence
of files, and the sizes of those that never shrink, can be compared.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from trivec.stores.edge.sparse_files import BLOCK, stretches

__all__ = [
    "NAME",
    "FileState",
    "Manifest",
    "faults",
    "is_missing",
    "locked",
    "read_manifest",
    "survey",
]

T = TypeVar("T")

NAME = "manifest.json"
VERSION = 1
_ZEROS = bytes(BLOCK)
_THREADS = 4
_REFUSED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM)
"""Numbers of errors that say nothing of a file, only of who may open it."""

_SMALL = 4 << 20
"""Bytes; larger files are not read again where nothing was written and their time is the same."""

_GROWING = (".mmap", ".dat")
"""Ends of names of files that the engine maps into memory and never makes shorter."""

_PASSING = ("tracker_journal", "flags_")
"""Beginnings of names of files that the engine deletes or replaces while it is open."""


@dataclass(frozen=True, slots=True)
class FileState:
    """One file.

    Attributes:
        size: in bytes.
        modified: nanoseconds since 1970.
        digest: of its content, in hex.
    """

    size: int
    modified: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index folder held.

    Attributes:
        files: by their path in the folder, with ``/``.
        points: how many.
        description: ``trivec.json``, as it was.
        is_open: whether the index is open, or was when its process died.
    """

    files: Mapping[str, FileState]
    points: int
    description: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = False

    def write(self, folder: Path) -> None:
        """Write this whole, or not at all."""
        body = asdict(self)
        text = json.dumps({"version": VERSION, "digest": _digest_of(body), **body})
        handle, name = tempfile.mkstemp(prefix="unfinished-", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(folder / NAME)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def read_manifest(folder: Path) -> Manifest | None:
    """Read a folder's manifest; None where there is none, or one of a later trivec.

    Raises:
        ValueError: it is damaged.
    """
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    data = json.loads(text)
    data = data if isinstance(data, dict) else {}
    if data.pop("version", None) != VERSION:
        if "digest" in data:
            return None
        raise ValueError("it has no version")
    if data.pop("digest", None) != _digest_of(data):
        raise ValueError("its checksum is another")
    files = {name: FileState(**state) for name, state in data.pop("files").items()}
    return Manifest(files, **data)


def is_missing(folder: Path) -> bool:
    """Say whether a folder has an index without a manifest: each has one from its beginning."""
    return (folder / "shard").exists() and not (folder / NAME).exists()


def survey(folder: Path, before: Manifest | None = None) -> dict[str, FileState]:
    """Return the state of an index's files: the description and all that the engine keeps.

    Args:
        folder: the index's.
        before: an earlier manifest; its digests of large files that were not touched are kept.
    """
    known = {} if before is None else before.files
    names = _names(folder)
    states = _in_threads(lambda name: _state(folder / name, known.get(name)), names)
    return dict(zip(names, states, strict=True))


def faults(folder: Path, manifest: Manifest, *, thorough: bool = False) -> dict[str, str]:
    """Return the files that are not as they were, each with what is wrong.

    Args:
        folder: the index's.
        manifest: what they were.
        thorough: read those that seem untouched, too.
    """
    if manifest.is_open:
        return _faults_after_crash(folder, manifest)
    wrong: dict[str, str] = {}
    asked = []
    for name, state in manifest.files.items():
        try:
            status = (folder / name).stat()
        except OSError as err:
            wrong[name] = _absent(err)
            continue
        if status.st_size != state.size:
            wrong[name] = f"has {status.st_size} bytes, had {state.size}"
        elif thorough or status.st_mtime_ns != state.modified:
            asked.append(name)
    digests = _in_threads(lambda name: _digest_or_fault(folder / name), asked)
    for name, now in zip(asked, digests, strict=True):
        if now != manifest.files[name].digest:
            wrong[name] = "has another content"
    known = {name.split("/")[2] for name in manifest.files if name.startswith("shard/segments/")}
    for extra in sorted(set(_segments(folder)) - known):
        wrong[f"shard/segments/{extra}"] = "is not of this index"
    return wrong


def _faults_after_crash(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Compare what holds whatever was written: files stay, and mapped ones never shrink."""
    wrong = {}
    there = set(_segments(folder))
    for name, state in manifest.files.items():
        parts = name.split("/")
        if parts[1:2] == ["wal"] or "payload_index" in parts or parts[-1].startswith(_PASSING):
            continue  # they come and go
        if parts[:2] == ["shard", "segments"] and parts[2] not in there:
            continue  # merged into others
        try:
            size = (folder / name).stat().st_size
        except OSError as err:
            wrong[name] = _absent(err)
            continue
        if size < state.size and name.endswith(_GROWING):
            wrong[name] = f"has {size} bytes, had {state.size}"
    if manifest.files and not there:
        wrong["shard/segments"] = "is empty"
    return wrong


@contextlib.contextmanager
def locked(shard: Path) -> Iterator[bool]:
    """Hold the engine's own lock on its folder; yield False where somebody else has it.

    On a platform without such locks nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    try:
        handle = os.open(shard / "wal", os.O_RDONLY)
    except OSError:  # the log is gone: nobody can open it
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _in_threads(function: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """Call a function for every name; checksums are computed outside of Python's lock."""
    try:
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(function, names))
    except RuntimeError:  # the interpreter ends, and starts no thread any more
        return list(map(function, names))


def _names(folder: Path) -> list[str]:
    shard = (path for path in (folder / "shard").rglob("*") if path.is_file())
    return ["trivec.json", *sorted(path.relative_to(folder).as_posix() for path in shard)]


def _segments(folder: Path) -> list[str]:
    try:
        return [path.name for path in (folder / "shard/segments").iterdir() if path.is_dir()]
    except OSError:
        return []


def _state(path: Path, known: FileState | None) -> FileState:
    status = path.stat()
    size, modified = status.st_size, status.st_mtime_ns
    if known is not None and size >= _SMALL and (size, modified) == (known.size, known.modified):
        return known
    return FileState(size, modified, _digest(path))


def _digest_or_fault(path: Path) -> str:
    try:
        return _digest(path)
    except OSError as err:
        return _absent(err)


def _digest(path: Path) -> str:
    """Return the checksum of a file; blocks of zeros count nothing, holes are not read."""
    total = hashlib.blake2b(digest_size=16)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for start, end in stretches(file.fileno(), size):
            for at in range(start, end, BLOCK):
                file.seek(at)
                block = _read(file, min(BLOCK, size - at))
                if block != _ZEROS[: len(block)]:
                    total.update(at.to_bytes(8, "little"))
                    total.update(block)
    return total.hexdigest()


def _read(file: Any, count: int) -> bytes:
    block = b""
    while len(block) < count and (more := file.read(count - len(block))):
        block += more
    return block


def _absent(err: OSError) -> str:
    if err.errno in _REFUSED:
        raise err
    return "is missing" if isinstance(err, FileNotFoundError) else f"cannot be read: {err.strerror}"


def _digest_of(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
