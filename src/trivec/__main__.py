"""The program ``trivec``: the command line, or what to install for it."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]

NEEDED = ("typer", "rich")
WRONG_USAGE = 2  # these two as in trivec.cli.exits, which cannot be imported without typer
INTERRUPTED = 130


def main() -> None:
    """Run the command line; the process ends with its exit code.

    Where the extra ``cli`` is not installed, one line on stderr says how to install it, and the
    exit code is 2.
    """
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        sys.stderr.write(
            f"trivec: the command line needs {' and '.join(missing)}; "
            "run: pip install 'trivec[cli]'\n"
        )
        sys.exit(WRONG_USAGE)
    try:
        from trivec.cli import main as run

        run()
    except KeyboardInterrupt:  # while Python was still importing
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
