"""What the engine raises, and what trivec makes of it."""

from __future__ import annotations

import contextlib
import errno
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivec.errors import StoreError, TrivecError
from trivec.stores.edge.holder import held_elsewhere

__all__ = ["engine_errors", "is_refusal", "raise_refused", "remedy"]

_LIMITS: Mapping[int | None, str] = {
    errno.ENOMEM: "the process may use no more memory; raise its limit (ulimit -v, a container's)",
    errno.EAGAIN: "the process may start no more threads; raise its limit (ulimit -u and -v)",
    errno.EMFILE: "the process may open no more files; raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open; end what holds them",
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the quota of the disk is used up; free some space",
    errno.EROFS: "the engine writes where it reads, and may not; copy the index to another place",
    errno.EACCES: "the engine writes where it reads, and may not; change the rights of the folder",
    errno.EPERM: "the engine writes where it reads, and may not; change the rights of the folder",
}
"""What to do where the system refuses something: the files are not damaged."""

_NUMBER = re.compile(r"\(os error (\d{1,5})\)|\bcode: (\d{1,5})\b")
_LONGEST_REASON = 400
_LOCKED = "WouldBlock"
_PANIC = "PanicException"


@contextlib.contextmanager
def engine_errors(path: Path, *, loading: bool = False) -> Iterator[None]:
    """Turn what the engine raises into trivec's errors.

    That is ``Exception`` for the most part, and a ``BaseException`` where the engine panics.

    Args:
        path: the index's folder, for the message.
        loading: whether the engine is reading its files, so that they may be the reason.
    """
    try:
        yield
    except TrivecError:
        raise
    except BaseException as err:
        panicked = type(err).__name__ == _PANIC
        if not panicked and not isinstance(err, Exception):
            raise
        reason = next(iter(str(err).splitlines()), type(err).__name__)[:_LONGEST_REASON]
        if _LOCKED in reason:
            raise held_elsewhere(path) from err
        advice = _LIMITS.get(_number(reason), remedy(path) if loading or panicked else "")
        advice = f"; {advice}" if advice else ""
        raise StoreError(f"the engine failed on the index in {path}: {reason}{advice}") from err


def _number(reason: str) -> int | None:
    """Return the system's number for an error, where the engine says it."""
    match = _NUMBER.search(reason)
    return None if match is None else int(match[1] or match[2])


def raise_refused(path: Path, error: OSError) -> None:
    """Raise where the system refuses to open files, which are not damaged for that.

    Raises:
        StoreError: says what to do.
    """
    if (advice := _LIMITS.get(error.errno)) is not None:
        raise StoreError(
            f"the index in {path} cannot be read: {error.strerror}; {advice}"
        ) from error


def is_refusal(message: str) -> bool:
    """Say whether an error's words are of the system's refusal, not of a damage."""
    return message.endswith(tuple(_LIMITS.values()))


def remedy(path: Path) -> str:
    """Say what to do about a damaged index."""
    return f"run: trivec check {shlex.quote(str(path))} --repair"
