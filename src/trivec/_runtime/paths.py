"""Paths as people write them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from trivec._runtime.checks import is_iterable, shown
from trivec.errors import InputError

__all__ = ["user_path", "user_paths"]


def user_path(name: str, path: object) -> Path:
    """Return a path; ``~`` at its beginning is the user's home folder, as in a shell.

    What begins with ``~`` and the name of no user is a path of that name.

    Args:
        name: the argument's, for the message.
        path: what was given for it.

    Raises:
        InputError: it is not a path, or longer than one can be.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"{name}={shown(path)}; give a path as text or pathlib.Path")
    if "\0" in str(path):
        raise InputError(f"{name}={shown(path)} holds a NUL character; no path may")
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111  # Path's own raises for other users
    try:
        expanded.lstat()
    except OSError as err:
        if err.errno == errno.ENAMETOOLONG:  # Path.exists() and the like raise it later
            raise InputError(
                f"{name}={shown(path)} is longer than a path of this system can be; shorten it"
            ) from None
    except ValueError:  # half of a surrogate pair: there is no such file
        pass
    return expanded


def user_paths(name: str, paths: object) -> list[Path]:
    """Return the paths of a list, or the one that was given alone; see ``user_path``.

    Raises:
        InputError: it is neither, or one of them is not a path.
    """
    if isinstance(paths, str | os.PathLike):
        return [user_path(name, paths)]
    if not is_iterable(paths):
        raise InputError(f"{name}={shown(paths)}; give a path, or a list of paths")
    return [user_path(name, path) for path in paths]
