"""The user's cache folder, and the digests of large files remembered there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from trivec._runtime.paths import user_path

__all__ = ["cache_folder", "combined_digest", "file_digest", "read_index", "write_index"]

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "TRIVEC_CACHE_DIR"


def cache_folder() -> Path:
    """Return the folder for what trivec makes once: ``$TRIVEC_CACHE_DIR``, or the platform's own.

    The folder may not exist yet.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return user_path(CACHE_VARIABLE, chosen)
    import platformdirs

    return platformdirs.user_cache_path("trivec", appauthor=False)


def combined_digest(files: Sequence[Path]) -> str:
    """Return the sha256 over the names and contents of files, in the given order."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{file_digest(file)}\n".encode())
    return whole.hexdigest()


def file_digest(file: Path) -> str:
    """Return a file's sha256 in hexadecimal.

    It is remembered by path, size and times, so gigabytes are read once, not at every start. The
    time of change counts too, which no program can set back. A cache that is damaged or cannot be
    written only costs the reading.
    """
    resolved = file.resolve()
    status = resolved.stat()
    # the folder's entry is resolved: a hub snapshot links to a blob that never changes
    key = str(resolved)
    stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    index = cache_folder() / "sha256.json"
    known = read_index(index)
    match known.get(key):
        case [*noted, str(digest)] if noted == stamp:
            return digest
    logger.info("computing sha256 of %s (%d bytes)", resolved, status.st_size)
    with resolved.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        write_index(index, {**read_index(index), key: [*stamp, digest]})
    except OSError as err:
        logger.warning("cannot remember digests in %s: %s", index, err)
    return digest


def read_index(index: Path) -> dict[str, object]:
    """Return what a JSON file of the cache folder remembers; nothing if it is not whole."""
    try:
        data = json.loads(index.read_text("utf-8"))
    except (OSError, ValueError):  # absent, unreadable, or damaged: as good as empty
        return {}
    return data if isinstance(data, dict) else {}


def write_index(index: Path, data: dict[str, object]) -> None:
    """Replace such a file at once: whoever reads it meanwhile reads the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    index.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=index.parent, prefix=index.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream)
        Path(name).replace(index)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
