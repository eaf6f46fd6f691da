"""Values that programs keep in metadata, as JSON holds them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

if TYPE_CHECKING:
    from trivec.types import EncoderInfo

__all__ = ["fingerprint_name", "plain_values"]


def fingerprint_name(info: EncoderInfo) -> str:
    """Return a name for what an encoder gives: the model's, and a digest of all of its ``info``.

    It is safe in a file's name, and a cache that is keyed by it holds one model's vectors alone.
    """
    said = json.dumps(asdict(info), sort_keys=True, default=str)
    model = re.sub(r"[^A-Za-z0-9_.-]+", "-", PurePath(info.model).name)[:64].strip("-.")
    return f"{model}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


_PLAIN = (str, int, float, bool)

_LEVELS = 64
"""How deep values are looked into: deeper than an index stores, so that it refuses them by name."""


def plain_values(value: Any, levels: int = _LEVELS) -> Any:  # noqa: PLR0911  # one for each type
    """Return a value in which nothing is left of the types that programs keep beside JSON's.

    Dates and times become ISO 8601 text, UUIDs, Decimals and paths text, sets sorted lists, and
    numpy's numbers and arrays Python's. Enumerations, durations, dataclasses and pydantic's models
    become what pydantic writes for them. Anything else stays, for the index to refuse by name, and
    so does what lies deeper than ``levels``.
    """
    if not levels:
        return value
    match value:
        case Mapping():
            return {key: plain_values(item, levels - 1) for key, item in value.items()}
        case list() | tuple():
            return [plain_values(item, levels - 1) for item in value]
        case set() | frozenset():
            return sorted(
                (plain_values(item, levels - 1) for item in value),
                key=partial(json.dumps, default=repr),
            )
        case np.generic() | np.ndarray():
            plain = value.tolist()
            return value if isinstance(plain, np.generic) else plain_values(plain, levels - 1)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case UUID() | Decimal() | PurePath():
            return str(value)
    return value if value is None or type(value) in _PLAIN else _by_pydantic(value)


def _by_pydantic(value: Any) -> Any:
    """Return enumerations, durations, addresses, dataclasses and models as pydantic writes them."""
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if isinstance(value, Iterator):
        return value  # to look at it would use it up
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError):
        return value
