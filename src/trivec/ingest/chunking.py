"""From paths to passages: files are found, read, cleaned and split, one at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._runtime.typed import checked
from trivec.errors import InputError, MissingDependencyError
from trivec.ingest.documents import LeftOut, OnLeftOut, ReadOptions, log_left_out
from trivec.ingest.finding import find_files, name_of
from trivec.ingest.passages import PassageSplitter
from trivec.ingest.readers import read
from trivec.text import clean, split, token_counter
from trivec.types import Chunk

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "EMPTY",
    "absolute",
    "chunks",
    "file_chunks",
    "left_out_summary",
    "passage_splitter",
    "source_of",
]

EMPTY = "it holds no text"
"""Why a file is left out that was read, and of which nothing went wrong."""

NAMED = 5
"""How many of the things left out the error of ``strict`` names."""


@checked
def chunks(
    paths: Iterable[str | Path],
    tokenizer: Tokenizer | Callable[[str], int],
    *,
    max_tokens: int = 256,
    overlap: int = 0,
    root: str | Path | None = None,
    options: ReadOptions | None = None,
    follow_links: bool = False,
    on_left_out: OnLeftOut | None = None,
    strict: bool = False,
) -> Iterator[Chunk]:
    """Yield the passages of files and folders; one file is in memory at a time.

    A passage's ``source`` is its file's path relative to ``root`` with forward slashes, so that it
    is the same on every machine and nothing is indexed twice; a file outside of ``root`` keeps its
    absolute path. ``position`` counts within the file. A record's own id is kept; where a record
    is split, ``#0``, ``#1`` ... is appended.

    A passage begins with the headings that lead to it. Its metadata say where it came from:
    ``headings``, ``page``, ``slide``, ``sheet`` or ``row`` where there are any, and its part of
    the text that was read, ``start_index`` to ``end_index`` in characters.

    What cannot be read is left out and reported; the rest goes on.

    Args:
        paths: files and folders, see :func:`find_files`.
        tokenizer: the encoder's, or a function that counts tokens.
        max_tokens: the most tokens of a passage, headings included.
        overlap: the most tokens that a passage repeats of the one before.
        root: what sources are relative to; None is the working directory.
        options: how files are read.
        follow_links: see :func:`find_files`.
        on_left_out: told of every file, page or record that is left out. None writes it to the
            log.
        strict: raise after the last passage where anything was left out that could have been read.

    Raises:
        InputError: a path does not exist, a limit cannot be used, or something was left out and
            ``strict`` is True.
    """
    splitter = passage_splitter(tokenizer, max_tokens, overlap)
    base = absolute(root or ".")
    missed: list[LeftOut] = []

    def report(left_out: LeftOut) -> None:
        if not left_out.expected:
            missed.append(left_out)
        (on_left_out or log_left_out)(left_out)

    for path in find_files(paths, follow_links=follow_links, on_left_out=report):
        yield from file_chunks(path, splitter, base, options, report)
    if strict and missed:
        raise InputError(left_out_summary(missed))


def passage_splitter(
    tokenizer: Tokenizer | Callable[[str], int], max_tokens: int, overlap: int
) -> PassageSplitter:
    """Return what splits documents.

    Raises:
        InputError: a limit cannot be used.
    """
    split("", tokenizer, max_tokens=max_tokens, overlap=overlap)  # bad numbers are no file's fault
    return PassageSplitter(token_counter(tokenizer), max_tokens, overlap)


def file_chunks(
    path: Path,
    splitter: PassageSplitter,
    base: Path,
    options: ReadOptions | None,
    report: OnLeftOut,
) -> Iterator[Chunk]:
    """Yield the passages of one file, with its source and their positions."""
    source = source_of(path, base)
    for position, chunk in enumerate(_of_file(path, splitter, options, report)):
        yield replace(chunk, source=source, position=position)


def _of_file(
    path: Path, splitter: PassageSplitter, options: ReadOptions | None, report: OnLeftOut
) -> Iterator[Chunk]:
    reported: list[LeftOut] = []

    def note(left_out: LeftOut) -> None:
        reported.append(left_out)
        report(left_out)

    empty = True
    try:
        for document in read(path, options, on_left_out=note):
            passages = splitter.passages(document)
            if not passages and document.where is not None:
                note(LeftOut(path, EMPTY, document.where))
            empty = empty and not passages
            yield from passages
    except (InputError, MissingDependencyError) as err:
        note(LeftOut(path, str(err).removeprefix(f"{path} cannot be read: ")))
    if empty and not reported:
        report(LeftOut(path, EMPTY))


def source_of(path: Path, base: Path) -> str:
    """Return what a file's passages have as source: its path, relative where it is inside.

    It is clean as all that is stored: a name with control characters loses them.
    """
    place = absolute(path)
    relative = place.relative_to(base) if place.is_relative_to(base) else place
    return clean(name_of(relative.as_posix()))


def absolute(path: str | Path) -> Path:
    """Return an absolute path; links stay what they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links out of root


def left_out_summary(missed: Sequence[LeftOut]) -> str:
    """Return one sentence on what was left out."""
    named = "; ".join(str(one) for one in missed[:NAMED])
    more = f"; and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
    return f"{len(missed)} left out, the rest was read: {named}{more}"
