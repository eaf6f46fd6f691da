"""Conditions on payloads: Qdrant's, by the names that its client gives them.

The client takes a second to import and 40 MB of disk, and the embedded engine needs none of it.
So ``qdrant`` is ``qdrant_client.models`` where the program imported the client. Every program
with a server does. Elsewhere ``qdrant`` has plain dataclasses of the same names: those that
trivec itself builds filters of.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["for_client", "is_filter", "of_one_kind", "qdrant"]


@dataclass(frozen=True)
class MatchValue:
    """Equal to a value."""

    value: bool | int | str


@dataclass(frozen=True)
class MatchAny:
    """Equal to one of some values."""

    any: Sequence[str] | Sequence[int]


@dataclass(frozen=True)
class MatchText:
    """With all the words of a text, or its substring where the field has no index of words."""

    text: str


@dataclass(frozen=True)
class MatchSubstring:
    """With a substring."""

    substring: str


@dataclass(frozen=True)
class Range:
    """A number within bounds."""

    lt: float | None = None
    gt: float | None = None
    gte: float | None = None
    lte: float | None = None


@dataclass(frozen=True)
class DatetimeRange:
    """A date within bounds."""

    lt: date | None = None
    gt: date | None = None
    gte: date | None = None
    lte: date | None = None


@dataclass(frozen=True)
class FieldCondition:
    """One test of what lies at a path."""

    key: str
    match: MatchValue | MatchAny | MatchText | MatchSubstring | None = None
    range: Range | DatetimeRange | None = None


@dataclass(frozen=True)
class PayloadField:
    """A path."""

    key: str


@dataclass(frozen=True)
class IsEmptyCondition:
    """Nothing, null or an empty list lies at a path."""

    is_empty: PayloadField


@dataclass(frozen=True)
class HasIdCondition:
    """The point is one of some."""

    has_id: Sequence[int | str | UUID]


@dataclass(frozen=True)
class HasVectorCondition:
    """The point has a vector."""

    has_vector: str


@dataclass(frozen=True)
class MinShould:
    """At least so many of the conditions hold."""

    conditions: list[Any]
    min_count: int


@dataclass(frozen=True)
class Filter:
    """Conditions that all, one at least, or none of must hold."""

    should: list[Any] | Any | None = None
    min_should: MinShould | None = None
    must: list[Any] | Any | None = None
    must_not: list[Any] | Any | None = None


_OWN = {
    each.__name__: each
    for each in (
        DatetimeRange,
        FieldCondition,
        Filter,
        HasIdCondition,
        HasVectorCondition,
        IsEmptyCondition,
        MatchAny,
        MatchSubstring,
        MatchText,
        MatchValue,
        MinShould,
        PayloadField,
        Range,
    )
}


def _has_client() -> bool:
    return sys.modules.get("qdrant_client") is not None


class _Classes:
    """The client's classes where it was imported, else those of this module."""

    def __getattr__(self, name: str) -> Any:
        if _has_client():
            from qdrant_client import models

            return getattr(models, name)
        try:
            return _OWN[name]
        except KeyError:
            raise AttributeError(
                f"{name} is a class of qdrant-client's alone; import qdrant_client first "
                "(pip install 'trivec[server]')"
            ) from None


if TYPE_CHECKING:
    qdrant = models
else:
    qdrant = _Classes()


def is_filter(value: object) -> bool:
    """Say whether a value is a filter, of the client's classes or of this module's."""
    return isinstance(value, (Filter, qdrant.Filter))


def of_one_kind(condition: Any) -> Any:
    """Return a condition of the classes that ``qdrant`` has now.

    What was built before the client was imported is built again of its classes.
    """
    return for_client(condition) if _has_client() else condition


def for_client(condition: Any) -> Any:
    """Return a condition, or a filter, as the client takes it.

    Raises:
        ImportError: there is no client.
    """
    from qdrant_client import models

    if isinstance(condition, list):
        return [for_client(part) for part in condition]
    if not is_dataclass(condition) or type(condition).__name__ not in _OWN:
        return condition
    parts = {field.name: for_client(getattr(condition, field.name)) for field in fields(condition)}
    given = {name: part for name, part in parts.items() if part is not None}
    return getattr(models, type(condition).__name__)(**given)
