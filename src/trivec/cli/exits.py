"""The exit codes of the command line; docs/cli.md explains them."""

from __future__ import annotations

__all__ = ["DEFECT", "FAILED", "INCOMPLETE", "INTERRUPTED", "READER_GONE", "WRONG_USAGE"]

FAILED = 1
"""An error, in one line on stderr."""

WRONG_USAGE = 2
"""An option, an argument or a path that there is none of."""

INCOMPLETE = 3
"""A part could not be done; the rest was."""

DEFECT = 70
"""A defect of trivec; EX_SOFTWARE of sysexits.h."""

INTERRUPTED = 130
"""Ctrl-C: 128 and the number of SIGINT."""

READER_GONE = 141
"""What reads the output went away, as ``head`` does: 128 and the number of SIGPIPE."""
