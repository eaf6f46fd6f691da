"""Arguments and fields are what their annotations say, or InputError names what was given.

Annotations are read at the first call. A part of one that names what type checkers alone import,
such as Qdrant's client, is left to the function itself.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np

from trivec._runtime.checks import shown
from trivec.errors import InputError

__all__ = ["check_fields", "checked", "unchecked"]

F = TypeVar("F", bound=Callable[..., Any])

_Test = Callable[[Any], bool]

_FEW = 4
"""Values that are looked at one by one sooner than as columns."""
_TEXT = frozenset({str})
_LISTS = frozenset({list, tuple, dict})
_SECRET = frozenset({"api_key"})
"""Arguments whose value no message shows."""


def checked(function: F) -> F:
    """Let a function refuse arguments that do not fit its annotations.

    Elements of sequences and mappings are looked at, those of other iterables are not. A number
    may be numpy's, a tuple may be a list, an object with a method of a protocol is taken for one.
    A float is a number that a float can hold, and never NaN.
    """
    named: dict[str, _Expected | None] = {}  # found at the first call, and looked up nowhere again
    placed: tuple[_Expected | None, ...] | None = None

    def check(args: tuple[Any, ...], options: dict[str, Any]) -> None:
        nonlocal named, placed
        if placed is None:
            named = _expectations(function)
            placed = tuple(named.values())
        for wanted, value in zip(placed, args, strict=False):
            if wanted is not None and type(value) not in wanted.sure:
                wanted.require(value)
        for name, value in options.items():
            wanted = named.get(name)
            if wanted is not None and type(value) not in wanted.sure:
                wanted.require(value)

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: Any, **options: Any) -> Any:
            check(args, options)
            return await function(*args, **options)

        return cast("F", awaited)

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        check(args, options)
        return function(*args, **options)

    return cast("F", called)


def unchecked(function: F) -> F:
    """Return a checked function without its check, for what trivec made itself."""
    return cast("F", inspect.unwrap(function))


def check_fields(record: Any) -> None:
    """Refuse a dataclass whose fields do not fit their annotations; see ``checked``.

    Raises:
        InputError: one does not.
    """
    for expected in _fields(type(record)):  # type: ignore[arg-type]  # types can be hashed
        value = getattr(record, expected.name)
        if type(value) not in expected.sure:
            expected.require(value)


def _refusal(name: str, value: object, expected: Any) -> str:
    given = f"{name} is a {type(value).__name__}" if name in _SECRET else f"{name}={shown(value)}"
    refusal = f"{given}; allowed: {', '.join(_words(expected))}"
    if name not in _SECRET and _fits_in_a_list(value, expected):
        return f"{refusal}. Give a list: {name}=[{shown(value)}]"
    return refusal


def _fits_in_a_list(value: object, expected: Any) -> bool:
    """Say whether a list was wanted, and what was given alone may be in it."""
    origin, parts = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return any(_fits_in_a_list(value, part) for part in parts)
    return origin in (Sequence, Collection, Iterable) and _fits(value, parts[0])


def _words(expected: Any) -> list[str]:
    """Return what an annotation allows, in words."""
    parts = typing.get_args(expected)
    origin = typing.get_origin(expected)
    if origin in (typing.Union, types.UnionType):
        return [words for part in parts for words in _words(part)]
    if origin is typing.Literal:
        return [str(value) for value in parts]
    if origin is Callable:
        return ["a function"]
    if origin is not None and origin is not np.ndarray:
        inner = [" or ".join(_words(part)) for part in parts if part is not Ellipsis]
        if issubclass(origin, Mapping):
            return [f"a dict of {' to '.join(inner)}"]
        plural = "s" if inner[0] in _NAMES.values() else ""
        return [f"a list of {', '.join(inner)}{plural}"]
    return [_NAMES.get(expected, getattr(expected, "__name__", str(expected)))]


_NAMES: Mapping[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "True or False",
    None: "None",
    types.NoneType: "None",
    Any: "anything",
}


@cache
def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what is checked of a function's parameters."""
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    annotations = {
        name: str(parameter.annotation)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.annotation is not parameter.empty and parameter.kind not in starred
    }
    return _evaluated(annotations, function.__globals__)


@dataclasses.dataclass(frozen=True, slots=True)
class _Expected:
    """What is expected of a parameter.

    Attributes:
        name: its own.
        kind: its annotation.
        sure: the types whose values need no closer look.
        texts: whether a dict needs none whose keys are texts.
    """

    name: str
    kind: Any
    sure: frozenset[type]
    texts: bool

    def require(self, value: object) -> None:
        """Refuse a value that does not fit."""
        if self.texts and type(value) is dict and _has_text_keys(value):
            return
        if not _fits(value, self.kind):
            raise InputError(_refusal(self.name, value, self.kind))


def _expectations(function: Callable[..., Any]) -> dict[str, _Expected | None]:
    """Return what is expected of each parameter, in their order; None: anything."""
    checked = _parameters(function)
    return {
        name: None if (kind := checked.get(name, Any)) is Any else _expected(name, kind)
        for name in inspect.signature(function).parameters
    }


def _expected(name: str, kind: Any) -> _Expected:
    return _Expected(name, kind, frozenset(_sure(kind)), _takes_any_texts(kind))


@cache
def _surely(expected: Any) -> frozenset[type]:
    return frozenset(_sure(expected))


def _takes_any_texts(expected: Any) -> bool:
    """Say whether any dict with texts for keys fits."""
    origin, parts = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return any(map(_takes_any_texts, parts))
    return origin in (Mapping, dict) and parts == (str, Any)


def _has_text_keys(value: dict[Any, Any]) -> bool:
    return set(map(type, value)) <= _TEXT


def _sure(expected: Any) -> set[type]:
    if expected is None:
        return {types.NoneType}
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return {kind for part in typing.get_args(expected) for kind in _sure(part)}
    unsure = not isinstance(expected, type) or typing.get_origin(expected) is not None
    if unsure or expected in (float, object) or typing.is_typeddict(expected):
        return set()
    return set() if getattr(expected, "_is_protocol", False) else {expected}


@cache
def _fields(record: type[Any]) -> list[_Expected]:
    """Return the same of a dataclass's fields, which may be inherited from another module."""
    known: dict[str, Any] = {}
    for base in reversed(record.__mro__):
        annotations = {name: str(kind) for name, kind in inspect.get_annotations(base).items()}
        known |= _evaluated(annotations, vars(inspect.getmodule(base)))
    names = [field.name for field in dataclasses.fields(record)]
    return [_expected(name, known[name]) for name in names if known.get(name, Any) is not Any]


def _evaluated(annotations: Mapping[str, str], names: dict[str, Any]) -> dict[str, Any]:
    known = {}
    for name, written in annotations.items():
        try:
            known[name] = eval(written, names)  # noqa: S307  # our own source
        except (NameError, TypeError):  # imported for type checkers alone
            continue
    return known


def _fits(value: Any, expected: Any) -> bool:
    """Say whether a value is of an annotated type."""
    return _test(expected)(value)


@cache
def _test(expected: Any) -> _Test:  # noqa: PLR0911  # each kind has one
    """Return what says whether a value is of an annotated type."""
    if expected is Any:
        return _always
    if isinstance(expected, type) and expected in _PLAIN:
        return _PLAIN[expected]
    origin, parts = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return _any_of(tuple(map(_test, parts)))
    if origin is typing.Literal:
        return lambda value: isinstance(value, Hashable) and value in parts
    if origin is not None:
        return _generic_test(origin, parts)
    if expected is None:
        return lambda value: value is None
    if not isinstance(expected, type):
        return _always  # a type variable
    if getattr(expected, "_is_protocol", False):
        return lambda value: _resembles(value, expected)
    kind = dict if typing.is_typeddict(expected) else expected
    return lambda value: isinstance(value, kind)


def _always(_value: object) -> bool:
    return True


def _any_of(tests: tuple[_Test, ...]) -> _Test:
    def test(value: Any) -> bool:
        for each in tests:  # noqa: SIM110  # any() with a generator takes twice that
            if each(value):
                return True
        return False

    return test


def _generic_test(origin: Any, parts: tuple[Any, ...]) -> _Test:
    if origin is Callable:
        return callable
    if origin is type:
        return lambda value: isinstance(value, type)

    def test(value: Any) -> bool:
        if type(value) in _LISTS:
            return of_many(value)
        if isinstance(value, str | bytes | bytearray):
            return False
        if isinstance(value, np.ndarray):
            return _is_row(value, parts[0]) if origin is Sequence else _may_be_listed(value, origin)
        return of_many(value)

    of_many = _tuple_test(parts) if origin is tuple else _container_test(origin, parts)
    return test


def _tuple_test(parts: tuple[Any, ...]) -> _Test:
    if Ellipsis in parts:
        return lambda value: isinstance(value, list | tuple) and _all_fit(value, parts[0])
    tests = tuple(map(_test, parts))
    return lambda value: (
        isinstance(value, list | tuple)
        and len(value) == len(tests)
        and all(test(each) for test, each in zip(tests, value, strict=True))
    )


def _container_test(origin: type[Any], parts: tuple[Any, ...]) -> _Test:
    if issubclass(origin, Mapping):
        return lambda value: (
            isinstance(value, origin)
            and _all_fit(value, parts[0])
            and _all_fit(value.values(), parts[1])
        )
    if issubclass(origin, Sequence):
        return lambda value: isinstance(value, origin) and _all_fit(value, parts[0])
    return lambda value: isinstance(value, origin)


def _all_fit(values: Iterable[Any], expected: Any) -> bool:
    if expected is Any:
        return True
    listed = list(values)
    if len(listed) > _FEW and _surely_fit(listed, expected):
        return True
    return all(map(_test(expected), listed))


def _surely_fit(values: list[Any], expected: Any) -> bool:
    """Say whether all fit, of many at once; False where each takes a closer look."""
    if isinstance(expected, TypeVar):
        return True
    kinds = set(map(type, values))
    if kinds <= _surely(expected):
        return True
    if expected is float:
        return kinds <= {float} and not math.isnan(sum(values))
    parts = typing.get_args(expected)
    if typing.get_origin(expected) is tuple and Ellipsis not in parts:
        columns = zip(*values, strict=False) if kinds == {tuple} else ()
        alike = kinds == {tuple} and set(map(len, values)) == {len(parts)}
        return alike and all(map(_surely_fit, map(list, columns), parts))
    return False


def _is_row(array: np.ndarray[Any, Any], expected: Any) -> bool:
    """Say whether an array is a list of integers, or of numbers."""
    return array.ndim == 1 and array.dtype.kind in {int: "iu", float: "fiu"}.get(expected, "")


def _may_be_listed(array: np.ndarray[Any, Any], origin: Any) -> bool:
    return isinstance(array, origin) and array.ndim > 0  # one value has the methods of a list


def _resembles(value: object, protocol: type[Any]) -> bool:
    """Say whether an object has a method of a protocol: it may lack those that nobody calls."""
    return not isinstance(value, type) and any(
        callable(getattr(value, name, None))
        for name in _methods(protocol)  # type: ignore[arg-type]  # the same
    )


@cache
def _methods(protocol: type[Any]) -> tuple[str, ...]:
    """Return the methods of a protocol, those of the protocols that it extends included."""
    members = {
        name: member
        for base in protocol.__mro__
        if getattr(base, "_is_protocol", False)
        for name, member in vars(base).items()
    }
    return tuple(
        name for name, member in members.items() if name[0] != "_" and inspect.isfunction(member)
    )


def _is_float(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return not math.isnan(float(value))
    except OverflowError:
        return False


_PLAIN: Mapping[type, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool | np.bool_),
    int: lambda value: (
        type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))
    ),
    float: _is_float,
    str: lambda value: isinstance(value, str),
    object: lambda _value: True,
}
