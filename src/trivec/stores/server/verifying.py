"""Whether the server holds what a write that was only acknowledged was to leave."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from trivec.stores.records import point_id_of
from trivec.stores.server.failures import WaitTimeoutError
from trivec.types import PointId

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["gone", "stored"]

Check: TypeAlias = "Callable[[Sequence[models.Record]], None]"


def stored(payloads: Mapping[PointId, Mapping[str, Any]]) -> tuple[list[PointId], Check]:
    """Return which points to read, and what raises until each has its payload."""

    def check(records: Sequence[models.Record]) -> None:
        there = {point_id_of(record.id): record.payload or {} for record in records}
        for key, payload in payloads.items():
            sent = json.loads(json.dumps(payload))
            if key not in there or not _alike(there[key], sent):
                raise WaitTimeoutError

    return list(payloads), check


def gone(records: Sequence[models.Record]) -> None:
    """Raise while there are points."""
    if records:
        raise WaitTimeoutError


def _alike(left: Any, right: Any) -> bool:
    """Compare JSON values; Qdrant may give a float back that is off in its last place."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_alike, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-12)
    return bool(left == right)
