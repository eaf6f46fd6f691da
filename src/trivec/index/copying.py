"""Moving a collection into another one, vectors and all."""

from __future__ import annotations

from collections.abc import Mapping

from trivec.errors import CollectionError
from trivec.index.adding import Progress
from trivec.index.collection import Binding
from trivec.types import Point, StoredPoint

__all__ = ["copy_points"]


def copy_points(mine: Binding, theirs: Binding, progress: Progress | None) -> int:
    """Copy every point of a tenant; see :meth:`trivec.HybridIndex.copy_to`."""
    names = _target_names(mine, theirs)
    total = 0
    for page in mine.pages(mine.scope(), with_vectors=list(names)):
        theirs.store.upsert([_moved(point, mine, theirs, names) for point in page])
        total += len(page)
        if progress is not None:
            progress(len(page))
    return total


def _target_names(mine: Binding, theirs: Binding) -> dict[str, str]:
    """Return what the other collection calls each vector of this one.

    Raises:
        FingerprintMismatchError: the other collection belongs to another model.
        CollectionError: the other collection has an arm that this one lacks.
    """
    source, target = mine.schema, theirs.schema
    if source.fingerprint is not None:
        target.require_same_writer(source.fingerprint, "the target")
    if missing := sorted(set(target.vectors) - set(source.vectors)):
        raise CollectionError(
            f"the target stores {missing}, which this index lacks; "
            f"create it with IndexConfig(arms={tuple(source.vectors)!r})"
        )
    return {source.vectors[arm].name: spec.name for arm, spec in target.vectors.items()}


def _moved(point: StoredPoint, mine: Binding, theirs: Binding, names: Mapping[str, str]) -> Point:
    """Return a point as another collection stores it: its own ids, payload and vector names."""
    chunk = mine.codec.decode(point)
    return Point(
        theirs.point_of(chunk),
        {names[name]: vector for name, vector in point.vectors.items()},
        theirs.codec.encode(chunk, theirs.tenant, mine.codec.own(point.payload).get("context")),
    )
