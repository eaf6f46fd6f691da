"""What the engine raises, and what trivec makes of it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from trivec.errors import StoreError, TrivecError
from trivec.stores.edge.holder import held_elsewhere

__all__ = ["engine_errors", "remedy"]

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
        reason = next(iter(str(err).splitlines()), type(err).__name__)
        if _LOCKED in reason:
            raise held_elsewhere(path) from err
        advice = f"; {remedy(path)}" if loading or panicked else ""
        raise StoreError(f"the engine failed on the index in {path}: {reason}{advice}") from err


def remedy(path: Path) -> str:
    """Say what to do about a damaged index."""
    return f"run: trivec check {shlex.quote(str(path))} --repair"
