"""The options of a search: those that are given whole, and fields that a call names itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from trivec.errors import InputError
from trivec.types import SearchOptions

__all__ = ["DEFAULT_SEARCH", "merged_options"]

DEFAULT_SEARCH = SearchOptions()
"""The options of a search that is given none."""


def merged_options(options: SearchOptions, overrides: Mapping[str, Any]) -> SearchOptions:
    """Return the options of a search with the fields that the call names besides.

    Raises:
        InputError: a name that is not a field, or a field that both give, with different values.
    """
    allowed = [field.name for field in fields(SearchOptions)]
    if unknown := sorted(set(overrides) - set(allowed)):
        raise InputError(f"unknown arguments {unknown}; allowed: k, filter, options, {allowed}")
    for name, value in overrides.items():
        given = getattr(options, name)
        if not _same(given, value) and not _same(given, getattr(DEFAULT_SEARCH, name)):
            raise InputError(
                f"{name} is given twice: {name}={value!r}, and {name}={given!r} in options; "
                "leave one of them out"
            )
    return replace(options, **overrides) if overrides else options


def _same(one: Any, other: Any) -> bool:
    """Compare two values of an option; a list of arms equals a tuple of the same."""
    values = [list(value) if isinstance(value, list | tuple) else value for value in (one, other)]
    return bool(values[0] == values[1])
