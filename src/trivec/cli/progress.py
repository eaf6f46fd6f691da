"""A line on stderr that counts passages while a command works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["passages_counted"]


@contextmanager
def passages_counted(*, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield what is called with the number of passages dealt with; shown on a terminal alone."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed} passages"), TimeElapsedColumn())
    disabled = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disabled) as progress:
        task = progress.add_task("", total=None)
        yield lambda count: progress.advance(task, count)
