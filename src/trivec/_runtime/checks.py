"""What the options of several models have in common, and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from trivec.errors import InputError

__all__ = ["Precision", "check_choice", "check_least", "check_texts"]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse a value that a ``Literal`` does not allow.

    Raises:
        InputError: it does not.
    """
    allowed = get_args(choices)
    if value not in allowed:
        raise InputError(f"{name}={value!r}; allowed: {', '.join(allowed)}")


def check_least(name: str, value: object, least: int) -> None:
    """Refuse what is not an integer of at least ``least``.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value!r}; it must be an integer of at least {least}")


def check_texts(name: str, value: object) -> None:
    """Refuse what is not a list of texts; one text would be read as a list of its letters.

    Raises:
        InputError: it is one text, no list, or holds something else.
    """
    if isinstance(value, str | bytes):
        raise InputError(f"{name}={value!r} is one text; give a list: {name}=[{value!r}]")
    if not isinstance(value, Iterable):
        raise InputError(f"{name}={value!r}; give a list of texts")
    for item in value:
        if not isinstance(item, str):
            raise InputError(f"{name} holds {item!r}, a {type(item).__name__}; allowed: texts")
