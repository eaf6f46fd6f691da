"""Packages that only some formats need: a missing one is named with the extra that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trivec._runtime.dependencies import unavailable

__all__ = ["needs"]


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Say which extra to install where an import below fails.

    Raises:
        MissingDependencyError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as err:
        raise unavailable(err, extra, extra) from err
