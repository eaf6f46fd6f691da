"""What both engines give back, as trivec's values: their records differ in name alone."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from uuid import UUID

import numpy as np

from trivec._runtime.checks import shown
from trivec.errors import StoreError
from trivec.types import PointId, SparseVector, Vector

__all__ = ["asked_id", "point_id_of", "vector_of"]

_CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DRESSED = re.compile("(?:urn:)?(?:uuid:)?[{]?[0-9A-Fa-f-]+[}]?")


def asked_id(value: PointId) -> PointId:
    """Return an id that a caller gave, as every client and engine takes it.

    Raises:
        StoreError: Qdrant has no such id.
    """
    if isinstance(value, str):
        if type(value) is str and _CANONICAL.fullmatch(value):
            return value
        with suppress(ValueError):
            if _DRESSED.fullmatch(value):  # Python reads signs, spaces and other digits too
                return str(UUID(value))
    elif 0 <= int(value) < 2**64:  # numpy's as well
        return int(value)
    raise StoreError(
        f"the point id is {shown(value)}, allowed: unsigned integers of 64 bits and UUIDs"
    )


def point_id_of(value: Any) -> PointId:
    """Return an id as trivec writes it: UUIDs in their canonical text form."""
    return value if isinstance(value, int) else str(value)


def vector_of(value: Any) -> Vector:
    """Return a vector: a list of numbers or rows, or the engine's own sparse one."""
    if isinstance(value, list):
        return np.array(value, dtype=np.float32)
    indices = np.array(value.indices, dtype=np.uint32)
    values = np.array(value.values, dtype=np.float32)
    order = indices.argsort()
    return SparseVector(indices[order], values[order])
