"""Values that no argument was meant for, and those that come near one."""

from __future__ import annotations

import enum
import fractions
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
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


NUMBERS = st.sampled_from(
    [0, 1, -1, 7, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400]
) | st.sampled_from([0.0, -0.0, 0.5, 1.0, -3.5, 1e-320, 1e308, float("inf"), -float("inf")])
NOT_A_NUMBER = st.sampled_from([float("nan"), np.float32("nan"), Decimal("nan")])
TEXTS = st.text(max_size=6) | st.sampled_from(
    ["", " ", "\0", "a\0b", "\ud800", "x" * 3000, "dense", "1", "{", "../..", "\u200f", "$or"]
)
NUMPY = st.sampled_from(
    [
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
)
OBJECTS = st.sampled_from(
    [
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
)
MADE_ANEW = st.sampled_from(
    [
        Fresh(lambda: iter([1, 2])),
        Fresh(lambda: (text for text in ["a", "b"])),
        Fresh(lambda: map(fails, ["x"])),
        Fresh(cyclic),
        Fresh(lambda: deep(2000)),
        Fresh(lambda: deep_dict(40)),
        Fresh(lambda: deep_dict(150)),
        Fresh(lambda: deep_dict(2000)),
    ]
)
LEAVES = st.none() | st.booleans() | NUMBERS | NOT_A_NUMBER | TEXTS | NUMPY | OBJECTS | MADE_ANEW
KEYS = TEXTS | st.none() | st.integers(-1, 1) | st.just(("a", 1))
ANYTHING: SearchStrategy[object] = LEAVES | st.one_of(
    st.lists(LEAVES, max_size=3),
    st.lists(LEAVES, max_size=2).map(tuple),
    st.dictionaries(KEYS, LEAVES, max_size=2),
    st.dictionaries(TEXTS, st.dictionaries(TEXTS, LEAVES, max_size=2), max_size=2),
    st.just(set()),
    st.just(frozenset({"a", 1})),
)


def near(value: object) -> SearchStrategy[object]:
    """Return a strategy of what a caller may take for a right value: it, wrapped or converted."""
    if isinstance(value, Fresh):
        return st.just(Fresh(lambda: [value.make()]))
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
    return st.sampled_from(misses)


def made(value: object) -> object:
    """Return a value, or a new one; those that lie in lists and dicts as well."""
    if isinstance(value, Fresh):
        return value.make()
    if type(value) in (list, tuple):
        return type(value)(map(made, value))  # type: ignore[call-overload]
    if type(value) is dict:
        return {key: made(item) for key, item in value.items()}
    return value
