"""Which files are read: those given, and the regular files below the folders given."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from trivec._runtime.checks import shown
from trivec._runtime.paths import user_paths
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.ingest.documents import LeftOut, OnLeftOut, log_left_out
from trivec.ingest.readers import SUFFIXES
from trivec.stores.edge.folder import IndexFolder

__all__ = ["find_files", "name_of"]

SURROGATE = re.compile("[\ud800-\udfff]")
NOT_UTF8 = "its name is not UTF-8; rename it"


@checked
def find_files(
    paths: str | Path | Iterable[str | Path],
    *,
    follow_links: bool = False,
    on_left_out: OnLeftOut | None = None,
) -> Iterator[Path]:
    """Yield the files that can be read: those given, and those below the folders given.

    Folders are walked in sorted order; each file comes once. Names that begin with a dot are
    passed over. Whatever else is left out is reported: files that no reader knows, links, pipes,
    sockets and devices, folders of an index, folders that cannot be listed or hold nothing to read.

    Args:
        paths: files and folders, or one.
        follow_links: whether links below a folder are followed that lead to something inside it.
            Links that lead out of the folder never are.
        on_left_out: None writes a warning to the log.

    Raises:
        InputError: a path does not exist, or a file that was named cannot be one that is read.
    """
    named = user_paths("paths", paths)
    for path in named:
        _check(path)
    report = on_left_out or log_left_out
    seen: set[str] = set()
    for path in named:
        files = _Walk(path, report, follow_links=follow_links) if path.is_dir() else [path]
        for file in files:
            place = os.path.abspath(file)  # noqa: PTH100  # a link is not what it leads to
            if place not in seen:
                seen.add(place)
                yield file


def name_of(path: str | Path) -> str:
    """Return a path as text; where Python took UTF-8 for ASCII, as in a bare C locale, as UTF-8.

    Raises:
        InputError: its bytes are no text; they cannot be stored as a source.
    """
    name = os.fspath(path)
    if not SURROGATE.search(name):
        return name
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeError as err:
        raise InputError(f"{_printable(path)} cannot be read: {NOT_UTF8}") from err


def _printable(path: str | Path) -> Path:
    return Path(ascii(str(path))[1:-1])


def _check(path: Path) -> None:
    name_of(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as err:
        raise InputError(f"{path} does not exist; give a file or a folder") from err
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or err
        raise InputError(f"{shown(str(path))} cannot be read: {reason}") from err
    if stat.S_ISDIR(mode):
        return
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file; give a file or a folder")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} has an unknown suffix; allowed: {', '.join(SUFFIXES)}")


class _Walk:
    """The files below one folder."""

    def __init__(self, folder: Path, report: OnLeftOut, *, follow_links: bool) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._report = report
        self._follow_links = follow_links
        self._visited = {self._root}

    def __iter__(self) -> Iterator[Path]:
        empty = True
        waiting = [self._folder]
        while waiting:
            folder = waiting.pop()
            if IndexFolder(folder).exists():
                self._leave_out(folder, "it is an index of trivec")
                continue
            folders: list[Path] = []
            for entry in self._listed(folder):
                path = folder / entry.name
                if not self._is_allowed(entry, path):
                    continue
                if entry.is_dir():
                    folders.append(path)
                elif path.suffix.lower() not in SUFFIXES:
                    self._leave_out(path, "no reader for this suffix")
                else:
                    empty = False
                    yield path
            waiting.extend(reversed(folders))
        if empty:
            self._leave_out(self._folder, "the folder holds no file that can be read")

    def _listed(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as err:
            reason = f"the folder cannot be listed: {err.strerror}"
            self._report(LeftOut(folder, reason))
            return []
        return sorted(shown, key=lambda entry: entry.name)

    def _is_allowed(self, entry: os.DirEntry[str], path: Path) -> bool:
        """Say whether an entry is a folder or regular file within the root; report it if not."""
        try:
            name_of(entry.name)
        except InputError:
            self._report(LeftOut(_printable(path), NOT_UTF8))
            return False
        try:
            if entry.is_symlink() and not self._is_link_inside(path):
                return False
            if entry.is_dir():
                return self._is_new(path, is_link=entry.is_symlink())
            if entry.is_file():
                return True
        except OSError as err:
            self._report(LeftOut(path, f"it cannot be looked at: {err.strerror}"))
            return False
        self._leave_out(path, "it is neither a file nor a folder: a pipe, socket or device")
        return False

    def _is_link_inside(self, path: Path) -> bool:
        if not self._follow_links:
            self._leave_out(path, "it is a link, and links are not followed")
            return False
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            self._report(LeftOut(path, "it is a link that leads nowhere"))
            return False
        if not target.is_relative_to(self._root):
            self._leave_out(path, "it is a link that leads out of the folder")
            return False
        return True

    def _is_new(self, path: Path, *, is_link: bool) -> bool:
        if not self._follow_links:
            return True
        target = path.resolve()
        if target in self._visited:
            if is_link:
                self._leave_out(path, "it is a link to a folder that is read already")
            return False
        self._visited.add(target)
        return True

    def _leave_out(self, path: Path, reason: str) -> None:
        self._report(LeftOut(path, reason, expected=True))
