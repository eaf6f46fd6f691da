"""From paths to passages: files are found, read, cleaned and split, one at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trivec.errors import InputError
from trivec.ingest.readers import SUFFIXES, Document, ReadOptions, read
from trivec.text import clean, split
from trivec.types import Chunk

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["OnSkip", "chunks", "find_files"]

logger = logging.getLogger(__name__)

OnSkip: TypeAlias = Callable[[Path, str], None]
"""Called with a file that is left out, and the reason."""
"""Told of every file or empty folder that is left out, and why."""


def find_files(paths: Iterable[str | Path], *, on_skip: OnSkip | None = None) -> Iterator[Path]:
    """Yield the files that can be read: those given, and those below the folders given.

    Folders are walked in sorted order without following links to folders; names that begin with a
    dot are passed over. A file that no reader knows, and a folder without any other, is reported
    to ``on_skip``.

    Args:
        paths: files and folders.
        on_skip: None writes a warning to the log.

    Raises:
        InputError: a path does not exist, or a file that was named has an unknown suffix.
    """
    report = on_skip or _log_skip
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        if path.is_dir():
            empty = True
            for file in _files_below(path, report):
                empty = False
                yield file
            if empty:
                report(path, "the folder holds no file that can be read")
        elif not path.exists():
            raise InputError(f"{path} does not exist; give a file or a folder")
        elif path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path} has an unknown suffix; allowed: {', '.join(SUFFIXES)}")
        else:
            yield path


def _files_below(folder: Path, report: OnSkip) -> Iterator[Path]:
    for name, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(one for one in files if not one.startswith(".")):
            path = Path(name, file)
            if path.suffix.lower() in SUFFIXES:
                yield path
            else:
                report(path, "no reader for this suffix")


def _raise(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed: {error.strerror}") from error


def chunks(
    paths: Iterable[str | Path],
    tokenizer: Tokenizer | Callable[[str], int],
    *,
    max_tokens: int = 256,
    overlap: int = 0,
    root: str | Path | None = None,
    options: ReadOptions | None = None,
    on_skip: OnSkip | None = None,
) -> Iterator[Chunk]:
    """Yield the passages of files and folders; one file is in memory at a time.

    A passage's ``source`` is its file's path relative to ``root`` with forward slashes, so that it
    is the same on every machine and nothing is indexed twice; a file outside of ``root`` keeps its
    absolute path. ``position`` counts within the file. A record's own id is kept; where a record
    is split, ``#0``, ``#1`` ... is appended.

    Args:
        paths: files and folders, see :func:`find_files`.
        tokenizer: the encoder's, or a function that counts tokens.
        max_tokens: the most tokens of a passage, see :func:`trivec.text.split`.
        overlap: the most tokens that a passage repeats of the one before.
        root: what sources are relative to; None is the working directory.
        options: how files are read.
        on_skip: told of files left out: unknown, without text, unreadable from the start. None
            writes the first two to the log and raises at the last.

    Raises:
        InputError: a path does not exist; a file cannot be read and ``on_skip`` is None; or it
            cannot be read beyond a passage that was yielded already, since a file in part must not
            pass for the whole.
    """
    split("", tokenizer, max_tokens=max_tokens, overlap=overlap)  # bad numbers are no file's fault
    base = _absolute(root or ".")
    for path in find_files(paths, on_skip=on_skip):
        position = 0
        try:
            for document in read(path, options):
                for chunk in _passages(document, tokenizer, max_tokens, overlap):
                    yield replace(chunk, source=_source(path, base), position=position)
                    position += 1
        except InputError as err:
            if position or on_skip is None:
                raise
            on_skip(path, str(err))
            continue
        if not position:
            (on_skip or _log_skip)(path, "it holds no text; a scan needs text recognition first")


def _passages(
    document: Document,
    tokenizer: Tokenizer | Callable[[str], int],
    max_tokens: int,
    overlap: int,
) -> Iterator[Chunk]:
    spans = split(
        clean(document.text),
        tokenizer,
        max_tokens=max_tokens,
        overlap=overlap,
        markdown=document.markdown,
    )
    for number, span in enumerate(spans):
        identity = document.id
        if identity is not None and len(spans) > 1:
            identity = f"{identity}#{number}"
        yield Chunk(span.text, identity, metadata=dict(document.metadata))


def _source(path: Path, base: Path) -> str:
    absolute = _absolute(path)
    inside = absolute.is_relative_to(base)
    return (absolute.relative_to(base) if inside else absolute).as_posix()


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links out of root


def _log_skip(path: Path, reason: str) -> None:
    logger.warning("%s is left out: %s", path, reason)
