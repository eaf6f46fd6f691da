"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path

from trivec._runtime.checks import is_iterable
from trivec.errors import InputError

__all__ = ["user_path", "user_paths"]


def user_path(name: str, path: object) -> Path:
    """Return a path; ``~`` at its beginning is the user's home folder, as in a shell.

    What begins with ``~`` and the name of no user is a path of that name.

    Args:
        name: the argument's, for the message.
        path: what was given for it.

    Raises:
        InputError: it is not a path.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"{name}={path!r}; give a path as text or pathlib.Path")
    if "\0" in str(path):
        raise InputError(f"{name}={path!r} holds a NUL character; no path may")
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path's own raises for other users


def user_paths(name: str, paths: object) -> list[Path]:
    """Return the paths of a list, or the one that was given alone; see ``user_path``.

    Raises:
        InputError: it is neither, or one of them is not a path.
    """
    if isinstance(paths, str | os.PathLike):
        return [user_path(name, paths)]
    if not is_iterable(paths):
        raise InputError(f"{name}={paths!r}; give a path, or a list of paths")
    return [user_path(name, path) for path in paths]
