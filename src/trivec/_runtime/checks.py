"""What the options of several models have in common, and their checks."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from trivec.errors import InputError

__all__ = ["Precision", "check_choice", "check_least"]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""How a model computes on torch: in single, brain or half precision."""


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
