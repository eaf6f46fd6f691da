r"""The one door to the terminal: whatever a command says goes through this module.

Text from outside (file names, sources, metadata, passages, answers, errors of servers) may hold
control characters that steer a terminal. They are shown as escapes, such as ``\x1b``. In JSON they
are JSON's own escapes, so that a reader gets the text as it was.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from trivec._runtime.showing import STEERING, shown
from trivec.cli.exits import READER_GONE

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = [
    "LISTED",
    "complain",
    "complain_each",
    "console_for",
    "log_to_stderr",
    "plain",
    "prepare",
    "print_json",
    "say",
    "say_part",
    "show",
    "show_traceback",
    "shown",
]

LISTED = 20
"""Lines of one kind on stderr; ``--json`` lists all."""


def plain(text: str, style: str = "") -> Text:
    """Return a text for a table: nothing in it is markup, nothing steers the terminal."""
    from rich.text import Text

    return Text(shown(text), style)


def prepare() -> None:
    """Let stdout and stderr take every text: what their encoding lacks becomes an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print a result on stdout, with a line end."""
    say_part(f"{text}\n")


def say_part(text: str) -> None:
    """Print a part of a result on stdout."""
    _write(sys.stdout, shown(text))


def show(table: RenderableType) -> None:
    """Print a table on stdout; texts from outside are put into it by ``plain``."""
    console = console_for(sys.stdout)
    with console.capture() as drawn:
        console.print(table, highlight=False, markup=False)
    _write(sys.stdout, drawn.get())


def print_json(value: Any) -> None:
    """Print the one JSON document of a command."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf")
    text = json.dumps(value, ensure_ascii=not is_unicode, indent=2)
    _write(sys.stdout, STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")


def complain(kind: str, message: str) -> None:
    """Say something in one line on stderr."""
    line = "; ".join(part.strip() for part in message.split("\n") if part.strip())
    _write(sys.stderr, shown(f"{kind}: {line}") + "\n")


def complain_each(kind: str, messages: Sequence[str]) -> None:
    """Say several things of one kind, a line each; a long list is cut short."""
    for message in messages[:LISTED]:
        complain(kind, message)
    if len(messages) > LISTED:
        complain(kind, f"{len(messages) - LISTED} more; --json lists all")


def show_traceback(err: BaseException) -> None:
    """Print where an error came from, on stderr."""
    _write(sys.stderr, shown("".join(traceback.format_exception(err))))


def log_to_stderr() -> None:
    """Write the log to stderr, a line for each message."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])


def console_for(stream: TextIO) -> Console:
    """Return what draws tables and progress on a stream."""
    from rich.console import Console

    return Console(file=stream)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a message."""
        return shown(super().format(record))


def _write(stream: TextIO, text: str) -> None:
    """Write a text; where nobody reads it any more, end as other programs do."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes at its end
        sys.exit(READER_GONE)
