"""The checks that options and arguments have in common: one wording for each kind of mistake."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from trivec.errors import InputError

__all__ = [
    "MOST",
    "Precision",
    "check_choice",
    "check_depth",
    "check_least",
    "check_number",
    "check_texts",
    "is_iterable",
    "shown",
]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""How a model computes on torch: in single, brain or half precision."""

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 120
_REPR.maxlevel = 3


def shown(value: object) -> str:
    """Return what a message shows of a value that was given; short, however large or deep it is."""
    try:
        return _REPR.repr(value)
    except Exception:  # noqa: BLE001  # somebody's own __repr__
        return f"<{type(value).__name__}>"


MOST = 2**53
"""The largest count: JSON has no greater integers, and the engines' have 64 bits."""


def check_choice(name: str, value: object, choices: Any, *, or_none: bool = False) -> None:
    """Refuse a value that a ``Literal`` does not allow.

    Raises:
        InputError: it does not.
    """
    allowed = [*get_args(choices), *([None] if or_none else [])]
    if not isinstance(value, Hashable) or value not in allowed:
        raise InputError(f"{name}={shown(value)}; allowed: {', '.join(map(str, allowed))}")


_FLAT = frozenset({str, int, float, bool, type(None)})


def check_depth(name: str, value: object, most: int) -> None:
    """Refuse mappings and lists that lie in each other more than ``most`` levels deep.

    It does not recurse, and it ends for what contains itself.

    Raises:
        InputError: they do.
    """
    if type(value) is dict and _FLAT.issuperset(map(type, value.values())):
        return
    stack = [(value, 1)]
    while stack:
        inner, depth = stack.pop()
        if isinstance(inner, Mapping):
            items: Iterable[object] = inner.values()
        elif isinstance(inner, (list, tuple)):
            items = inner
        else:
            continue
        if depth > most:
            raise InputError(
                f"{name} is nested more than {most} levels deep, or contains itself; allowed: "
                f"{most} levels of dicts and lists; flatten it, or give it as JSON text"
            )
        # a question to Mapping costs more than all else here
        stack += [(item, depth + 1) for item in items if type(item) not in _FLAT]


def check_least(name: str, value: object, least: int, *, or_none: bool = False) -> None:
    """Refuse what is not an integer of at least ``least``, and at most 2**53.

    Beyond that, JSON and the engines' own integers no longer hold what was meant.

    Raises:
        InputError: it is not.
    """
    if type(value) is int and least <= value <= MOST:
        return
    if value is None and or_none:
        return
    none = ", or None" if or_none else ""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name}={shown(value)}; it must be an integer of at least {least}{none}")
    if int(value) > MOST:
        raise InputError(f"{name}={shown(value)}; it must be at most 2**53{none}")


def check_number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    or_none: bool = False,
) -> None:
    """Refuse what is not a number within these bounds; NaN and True are within none.

    Raises:
        InputError: it is not.
    """
    if value is None and or_none:
        return
    stated: tuple[tuple[str, float | None, Callable[[Any, Any], bool]], ...] = (
        ("at least", least, operator.ge),
        ("above", above, operator.gt),
        ("at most", most, operator.le),
        ("below", below, operator.lt),
    )
    bounds = [(words, bound, holds) for words, bound, holds in stated if bound is not None]
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and all(holds(value, bound) for _, bound, holds in bounds):
        return
    allowed = " and ".join(f"{words} {bound:g}" for words, bound, _ in bounds)
    allowed = f" of {allowed}" if allowed.startswith("at") else f" {allowed}".rstrip()
    none = ", or None" if or_none else ""
    raise InputError(f"{name}={shown(value)}; it must be a number{allowed}{none}")


def is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    """Say whether a value holds others; an array of no dimension only looks so."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def check_texts(name: str, value: object) -> None:
    """Refuse what is not a list of texts; one text would be read as a list of its letters.

    Raises:
        InputError: it is one text, no list, or holds something else.
    """
    if isinstance(value, str | bytes):
        raise InputError(f"{name}={shown(value)} is one text; give a list: {name}=[{shown(value)}]")
    if not is_iterable(value):
        raise InputError(f"{name}={shown(value)}; give a list of texts")
    for item in value:
        if not isinstance(item, str):
            raise InputError(f"{name} holds {shown(item)}, a {type(item).__name__}; allowed: texts")
