"""The command line: ``trivec index``, ``sync``, ``search``, ``ask``, ``info`` and others.

Results go to stdout, progress and warnings to stderr; with ``--json`` stdout is one JSON document.
``trivec.cli.exits`` names the exit codes.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Annotated, Any

import typer

from trivec.cli import variables
from trivec.cli.commands import COMMANDS, asked_for
from trivec.cli.examples import epilog
from trivec.cli.exits import DEFECT, FAILED, INTERRUPTED, READER_GONE, WRONG_USAGE
from trivec.cli.grouping import grouped
from trivec.cli.terminal import LISTED, complain, log_to_stderr, prepare, say, show_traceback
from trivec.cli.wording import in_options
from trivec.errors import FingerprintMismatchError, TrivecError

__all__ = ["LISTED", "app", "built", "main"]

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""typer takes it from click, or from a copy of its own."""


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    prepare()
    try:
        code = built(asked_for(sys.argv[1:]))(prog_name="trivec", standalone_mode=False)
    except typer.Abort:  # what older versions of typer make of Ctrl-C
        code = INTERRUPTED
    except SystemExit as end:  # of ours, or of typer where a help was not read to its end
        code = READER_GONE if isinstance(end.__context__, BrokenPipeError) else end.code
    except UsageError as err:
        code = _wrong_usage(err)
    except Exception as err:  # noqa: BLE001  # the last place where one can be told
        code = _failed(err)
    if code == INTERRUPTED:
        complain("note", "interrupted; run the same again to go on from here")
    sys.exit(code if isinstance(code, int) else 0)


def _wrong_usage(err: Any) -> int:
    """Say what is wrong with the command line, and how it is used."""
    message = err.format_message()
    if err.ctx is not None:
        complain("usage", err.ctx.get_usage().removeprefix("Usage: "))
        hint = _hint(message, err.ctx.info_name)
        message = f"{message.rstrip('.')}{hint}; '{err.ctx.command_path} -h' explains"
    complain("error", message)
    return WRONG_USAGE


def _hint(message: str, command: str | None) -> str:
    """Return what to do about words that the shell has parted, or that belong to an option."""
    if re.search(r"No such option: -[^-a-zA-Z]", message):
        return "; write -- before words that begin with a hyphen"
    if "unexpected extra argument" not in message:
        return ""
    hints = {
        "search": "put the question in quotes",
        "ask": "put the question in quotes",
        "delete": "name passages by --id, --source or --filter",
    }
    return f"; {hints[command]}" if command in hints else ""


def _failed(err: Exception) -> int:
    """Say in one line what went wrong; with --debug, where."""
    if logging.getLogger("trivec").isEnabledFor(logging.DEBUG):
        show_traceback(err)
    if not isinstance(err, TrivecError):
        complain("error", f"{type(err).__name__}: {err} (unexpected; 'trivec --debug' shows more)")
        return DEFECT
    message = in_options(str(err))
    if isinstance(err, FingerprintMismatchError) and os.environ.get(variables.MODEL):
        message += f"; {variables.MODEL} is set, and stands in for --model"
    complain("error", message)
    return FAILED


def _version(*, wanted: bool) -> None:
    if wanted:
        say(f"trivec {version('trivec')}")
        raise typer.Exit


def configure(
    context: typer.Context,
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything, show tracebacks.")
    ] = False,
    version: Annotated[  # noqa: ARG001  # the callback answers
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which this is."),
    ] = False,
) -> None:
    """Index text into Qdrant with BGE-M3, and find it again."""
    log_to_stderr()
    logging.getLogger("trivec").setLevel(logging.DEBUG if debug else logging.WARNING)
    if not debug:  # what is made once may take a minute
        logging.getLogger("trivec._runtime.making").setLevel(logging.INFO)
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(WRONG_USAGE)


def built(names: Iterable[str]) -> typer.Typer:
    """Return the program with some of its commands; a command is imported when it is built."""
    app = typer.Typer(
        name="trivec",
        help="Index text into Qdrant with BGE-M3, and find it again.",
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(configure)
    for name in names:
        command = COMMANDS[name]
        function = command.load()
        kind = variables.PlacedCommand if command.placed else None
        app.command(name, cls=kind, epilog=epilog(function))(grouped(function))
    return app


def __getattr__(name: str) -> Any:
    if name == "app":  # the whole program, for whoever looks at it from outside
        return built(COMMANDS)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
