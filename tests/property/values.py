"""Values that no argument was meant for, and those that come near one."""

from __future__ import annotations

import enum
import fractions
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from trivec import Chunk, QueryText, SearchOptions
from trivec.types import SparseVector


class Colour(enum.Enum):
    """An enumeration that is neither text nor a number."""

    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042  # as written before StrEnum: str() gives its name
    """An enumeration whose members are texts."""

    DENSE = "dense"
    GREEN = "green"


class Count(enum.IntEnum):
    """An enumeration whose members are numbers."""

    THREE = 3


class Marked(str):
    """A text of a caller's own class, as templating libraries have them."""

    __slots__ = ()

    def __str__(self) -> str:
        return "marked"


class Unshowable:
    """Says nothing of itself, as objects do whose classes have a mistake."""

    def __repr__(self) -> str:
        raise RuntimeError("this object cannot be shown")


class CallersOwnError(Exception):
    """Raised by what a caller gave: it comes through as it is, since only the caller knows it."""


def fails(_value: object) -> object:
    """Fail, as a caller's iterator may."""
    raise CallersOwnError


@dataclass(frozen=True)
class Fresh:
    """A value that is made anew for every call: an iterator, or what a call may change."""

    make: Callable[[], object]


def cyclic() -> dict[str, object]:
    """Return a dict that contains itself."""
    itself: dict[str, object] = {}
    itself["itself"] = itself
    return itself


def deep_dict(levels: int) -> dict[str, object]:
    """Return dicts within each other."""
    nested: dict[str, object] = {"n": 1}
    for _ in range(levels):
        nested = {"n": nested}
    return nested


def deep(levels: int) -> list[object]:
    """Return lists within each other."""
    nested: list[object] = []
    for _ in range(levels):
        nested = [nested]
    return nested


NUMBERS: list[object] = [
    *[0, 1, -1, 7, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400],
    *[0.0, -0.0, 0.5, 1.0, -3.5, 1e-320, 1e308, float("inf"), -float("inf")],
    *[float("nan"), np.float32("nan"), Decimal("nan")],
]
WORDS = ["", " ", "\0", "a\0b", "\ud800", "x" * 3000, "dense", "1", "{", "../..", "\u200f", "$or"]
TEXTS = st.text(max_size=6) | st.sampled_from(WORDS)
NUMPY: list[object] = [
    np.float64(0.5),
    np.float32(1),
    np.int64(3),
    np.uint8(1),
    np.True_,
    np.str_("text"),
    np.datetime64("2020-01-01"),
    np.zeros(0),
    np.zeros(8, np.float32),
    np.full(8, np.nan),
    np.full(8, 1e300),
    np.ones((2, 8)),
    np.ones(8, np.complex64),
    np.array(["a", "b"]),
    np.array(3),
    np.array([None, {}], object),
]
OBJECTS: list[object] = [
    b"bytes",
    bytearray(b"x"),
    1j,
    object(),
    int,
    len,
    Colour.RED,
    Word.DENSE,
    Word.GREEN,
    Count.THREE,
    Marked("text"),
    Marked("dense"),
    Path("x"),
    date(2020, 1, 1),
    datetime(2020, 1, 1, tzinfo=UTC),
    Decimal("1.5"),
    fractions.Fraction(1, 3),
    UUID(int=1),
    range(3),
    NotImplemented,
    ...,
    Chunk("a passage"),
    Chunk(3, id=[], source={}, position="x", metadata=None),  # type: ignore[arg-type]
    QueryText("a question"),
    SearchOptions(),
    SparseVector(np.array([1, 1], np.uint32), np.array([np.nan, 0], np.float32)),
]
MADE_ANEW: list[object] = [
    Fresh(lambda: iter([1, 2])),
    Fresh(lambda: (text for text in ["a", "b"])),
    Fresh(lambda: map(fails, ["x"])),
    Fresh(cyclic),
    Fresh(lambda: deep(2000)),
    Fresh(lambda: deep_dict(40)),
    Fresh(lambda: deep_dict(150)),
    Fresh(lambda: deep_dict(2000)),
]
EACH: list[object] = [None, True, False, *NUMBERS, *WORDS, *NUMPY, *OBJECTS, *MADE_ANEW, set()]
"""Every value that is not drawn at random, for those who try them all."""
LEAVES = (
    st.none()
    | st.booleans()
    | TEXTS
    | st.one_of(map(st.sampled_from, (NUMBERS, NUMPY, OBJECTS, MADE_ANEW)))
)
KEYS = TEXTS | st.none() | st.integers(-1, 1) | st.just(("a", 1))
ANYTHING: SearchStrategy[object] = LEAVES | st.one_of(
    st.lists(LEAVES, max_size=3),
    st.lists(LEAVES, max_size=2).map(tuple),
    st.dictionaries(KEYS, LEAVES, max_size=2),
    st.dictionaries(TEXTS, st.dictionaries(TEXTS, LEAVES, max_size=2), max_size=2),
    st.just(set()),
    st.just(frozenset({"a", 1})),
)


def near(value: object) -> list[object]:
    """Return what a caller may take for a right value: it, wrapped or converted."""
    if isinstance(value, Fresh):
        return [Fresh(lambda: [value.make()])]
    misses: list[object] = [[value], (value,), [value, None], str(value)]
    if isinstance(value, str):
        misses += [value.encode(), f" {value} ", value.upper(), [value, value]]
        misses += [np.str_(value), Marked(value), enum.Enum("Own", {"A": value}, type=str).A]  # type: ignore[attr-defined]
    if isinstance(value, int | float):
        misses += [np.float64(value), Decimal(value), -value, value + 0.5, [[value]]]
    if isinstance(value, Mapping):
        misses += [list(value), list(value.items())]
    if isinstance(value, list | tuple):
        misses += [[*value, None], [*value, *value], iter([]), {"a": value}]
    return misses


def spoiled_inside(value: object, odd: object) -> Iterator[Fresh]:
    """Yield a value with another one in one of its places: an element, a key, a field."""
    if isinstance(value, list | tuple) and value:
        yield Fresh(lambda: type(value)([*map(made, value[1:]), made(odd)]))
        for inner in spoiled_inside(value[0], odd):
            yield Fresh(partial(_first, value, inner))
    elif isinstance(value, dict) and value:
        name, first = next(iter(value.items()))
        yield Fresh(lambda: {**value, name: made(odd)})
        yield Fresh(lambda: {made(odd): first})
        for inner in spoiled_inside(first, odd):
            yield Fresh(partial(_first_item, value, name, inner))
    elif is_dataclass(value) and not isinstance(value, type | Fresh):
        for field in fields(value):
            if field.init:
                yield Fresh(partial(_with_field, value, field.name, odd))


def _first(value: list[object] | tuple[object, ...], inner: Fresh) -> object:
    return type(value)([inner.make(), *value[1:]])


def _first_item(value: dict[object, object], name: object, inner: Fresh) -> object:
    return {**value, name: inner.make()}


def _with_field(value: Any, name: str, odd: object) -> object:
    return replace(value, **{name: made(odd)})


def made(value: object) -> object:
    """Return a value, or a new one; those that lie in lists and dicts as well."""
    if isinstance(value, Fresh):
        return value.make()
    if type(value) in (list, tuple):
        return type(value)(map(made, value))  # type: ignore[call-overload]
    if type(value) is dict:
        return {key: made(item) for key, item in value.items()}
    return value
