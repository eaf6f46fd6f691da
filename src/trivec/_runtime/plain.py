"""Values that programs keep in metadata, as JSON holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np

__all__ = ["plain_values"]


def plain_values(value: Any) -> Any:
    """Return a value in which nothing is left of the types that programs keep beside JSON's.

    Dates and times become ISO 8601 text, UUIDs, Decimals and paths text, sets sorted lists, and
    numpy's numbers and arrays Python's. Anything else stays, for the index to refuse by name.
    """
    match value:
        case Mapping():
            return {key: plain_values(item) for key, item in value.items()}
        case list() | tuple():
            return [plain_values(item) for item in value]
        case set() | frozenset():
            return sorted(map(plain_values, value), key=partial(json.dumps, default=repr))
        case np.generic() | np.ndarray():
            plain = value.tolist()
            return value if isinstance(plain, np.generic) else plain_values(plain)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case UUID() | Decimal() | PurePath():
            return str(value)
    return value
