"""What both engines give back, as trivec's values: their records differ in name alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from trivec.types import PointId, SparseVector, Vector

__all__ = ["point_id_of", "vector_of"]


def point_id_of(value: Any) -> PointId:
    """Return an id as trivec writes it: UUIDs in their canonical text form."""
    return value if isinstance(value, int) else str(value)


def vector_of(value: Any) -> Vector:
    """Return a vector: a list of numbers or rows, or the engine's own sparse one."""
    if isinstance(value, list):
        return np.array(value, dtype=np.float32)
    order = np.argsort(value.indices)
    return SparseVector(
        np.array(value.indices, dtype=np.uint32)[order],
        np.array(value.values, dtype=np.float32)[order],
    )
