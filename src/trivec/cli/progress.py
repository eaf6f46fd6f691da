"""A line on stderr that says how far a command is, from its first moment on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivec.cli.terminal import console_for

if TYPE_CHECKING:
    from rich.progress import Progress

    from trivec.ingest import SyncProgress

__all__ = ["counted", "files_counted", "passages_counted"]


@contextmanager
def passages_counted(
    *, quiet: bool, total: int | None = None, begin: str = "starting"
) -> Iterator[Callable[[int], None]]:
    """Yield what is called with the number of passages dealt with; shown on a terminal alone.

    Args:
        quiet: show nothing.
        total: how many there are, where that is known.
        begin: what is shown until the first of them is done: loading a model takes a while.
    """
    with _shown(quiet=quiet) as progress:
        of = "" if total is None else f" of {total:,}"
        task = progress.add_task(begin, total=total)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress.update(task, completed=done, description=f"{done:,}{of} passages")

        yield advance


@contextmanager
def counted(
    *, quiet: bool, begin: str, total: int | None = None
) -> Iterator[Callable[[int], None]]:
    """Yield what is called with how many things were dealt with; ``begin`` says which."""
    with _shown(quiet=quiet) as progress:
        task = progress.add_task(begin, total=total)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress.update(task, completed=done, description=f"{begin}: {done:,}")

        yield advance


@contextmanager
def files_counted(*, quiet: bool) -> Iterator[Callable[[SyncProgress], None]]:
    """Yield what is told how far a sync is; shown on a terminal alone."""
    with _shown(quiet=quiet) as progress:
        task = progress.add_task("looking for files", total=None)

        def show(so_far: SyncProgress) -> None:
            words = f"{so_far.files:,} of {so_far.total:,} files, {so_far.passages:,} passages"
            progress.update(task, total=so_far.total, completed=so_far.files, description=words)

        yield show


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Progress]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = console_for(sys.stderr)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
    )
    disabled = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disabled) as progress:
        yield progress
