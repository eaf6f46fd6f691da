"""Moving a collection into another one, vectors and all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from trivec.errors import CollectionError
from trivec.index.collection import Binding
from trivec.index.options import Progress
from trivec.index.steps import Steps, compute, read
from trivec.query import Filter
from trivec.types import Point, PointId, StoredPoint

__all__ = ["copy_steps", "page_steps"]


def copy_steps(source: Binding, target: Binding, progress: Progress | None) -> Steps[int]:
    """Copy every point of a tenant; see :meth:`trivec.HybridIndex.copy_to`."""
    names = _target_names(source, target)
    total, offset = 0, None
    while True:
        page, offset = yield from page_steps(source.scope(), offset, with_vectors=list(names))
        moved = [_moved(point, source, target, names) for point in page]
        if moved:
            yield from compute(partial(target.store.upsert, moved))
            total += len(moved)
            if progress is not None:
                progress(len(moved))
        if offset is None:
            return total


def page_steps(
    filter: Filter | None, offset: PointId | None, *, with_vectors: Sequence[str] = ()
) -> Steps[tuple[list[StoredPoint], PointId | None]]:
    """Read a page of points, and where the next one begins."""
    return (
        yield from read(
            lambda store: store.scroll(filter=filter, offset=offset, with_vectors=with_vectors)
        )
    )


def _target_names(own: Binding, other: Binding) -> dict[str, str]:
    """Return what the other collection calls each vector of this one.

    Raises:
        FingerprintMismatchError: the other collection belongs to another model.
        CollectionError: the other collection has an arm that this one lacks.
    """
    source, target = own.schema, other.schema
    if source.fingerprint is not None:
        target.require_same_writer(source.fingerprint, "the target")
    if missing := sorted(set(target.vectors) - set(source.vectors)):
        raise CollectionError(
            f"the target stores {missing}, which this index lacks; "
            f"create it with IndexConfig(arms={tuple(source.vectors)!r})"
        )
    return {source.vectors[arm].name: spec.name for arm, spec in target.vectors.items()}


def _moved(point: StoredPoint, source: Binding, target: Binding, names: Mapping[str, str]) -> Point:
    """Return a point as another collection stores it: its own ids, payload and vector names."""
    chunk = source.codec.decode(point)
    return Point(
        target.point_of(chunk),
        {names[name]: vector for name, vector in point.vectors.items()},
        target.codec.encode(chunk, target.tenant, source.codec.own(point.payload).get("context")),
    )
