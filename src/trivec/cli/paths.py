"""Paths as people type them: of the home folder, of other systems, in the other order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import typer

__all__ = ["check_order", "check_path", "expanded", "is_for_reading", "is_index"]

WINDOWS = re.compile(r"([A-Za-z]):[\\/].*", re.DOTALL)
ADDRESS = re.compile(r"[\w.-]+:\d{2,5}(?:/\S*)?")


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder for ``~``; a shell leaves it in ``--root=~/notes``."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user: a file may be called so
        return Path(path)


def check_path(text: str) -> None:
    """Refuse what is no path of this system, unless there is something of that name.

    Raises:
        typer.BadParameter: it is a path of Windows, a file's URL or a server's address.
    """
    if os.path.lexists(text):
        return
    if os.name == "posix" and (drive := WINDOWS.fullmatch(text)):
        rest = text[3:].replace("\\", "/")
        raise typer.BadParameter(
            f"{text!r} is a path of Windows; give one of this system (in WSL "
            f"'/mnt/{drive[1].lower()}/{rest}')"
        )
    if text.startswith("file:"):
        raise typer.BadParameter(f"{text!r} is a file's URL; give the path alone")
    if ADDRESS.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is a server's address; write 'http://{text}'")


def check_order(place: str, others: Iterable[str | Path], command: str) -> None:
    """Refuse an index among the other arguments where PLACE is none.

    Raises:
        typer.BadParameter: PLACE is not the first argument.
    """
    if "://" in place or is_index(place):
        return
    for other in others:
        if is_index(other):
            raise typer.BadParameter(
                f"{str(other)!r} is an index, and {place!r} is not; PLACE comes first: "
                f"trivec {command} {other} {place!r}"
            )


def is_index(path: str | Path) -> bool:
    """Say whether a path is the folder of an index."""
    from trivec.stores.edge.folder import IndexFolder

    try:
        folder = expanded(path)
        return folder.is_dir() and IndexFolder(folder).exists()
    except (OSError, ValueError):  # a question may be too long for a path
        return False


def is_for_reading(path: Path) -> bool:
    """Say whether a path is among those to read: an index can be neither there nor made there."""
    if path.is_dir():
        return any(path.iterdir()) and not is_index(path)
    return path.is_file()
