"""Deleting: what matches, and what a source no longer holds."""

from __future__ import annotations

from trivec.index.collection import Binding
from trivec.index.steps import Steps, read, write
from trivec.index.tally import Tally
from trivec.query import Filter
from trivec.types import PointId, StoredPoint

__all__ = ["delete_steps", "page_steps", "prune_steps"]


def delete_steps(scope: Filter | None) -> Steps[int]:
    """Delete what matches and return how many points that were."""
    count = yield from read(lambda store: store.count(scope))
    if count:
        yield from write(lambda store: store.delete(filter=scope))
    return count


def prune_steps(
    binding: Binding, source: str, kept: int, tally: Tally, *, dry_run: bool = False
) -> Steps[int]:
    """Delete the points of a source that were not dealt with; return how many.

    Args:
        binding: the collection.
        source: whose points.
        kept: how many of them were dealt with.
        tally: knows which.
        dry_run: count alone.
    """
    scope = binding.scope(binding.of_source(source))
    stored = yield from read(lambda store: store.count(scope))
    if stored <= kept and not dry_run:
        return 0
    deleted = 0
    offset: PointId | None = None
    while True:
        points, offset = yield from page_steps(scope, offset)
        ids = [point.id for point in points]
        seen = tally.seen.among(ids) | tally.protected
        gone = [identity for identity in ids if identity not in seen]
        deleted += len(gone)
        if gone and not dry_run:
            yield from _delete(gone)
        if offset is None:
            return deleted


def page_steps(
    scope: Filter | None, offset: PointId | None
) -> Steps[tuple[list[StoredPoint], PointId | None]]:
    """Read a page of the points that match, and the id that the next page starts at."""
    return (yield from read(lambda store: store.scroll(filter=scope, offset=offset)))


def _delete(ids: list[PointId]) -> Steps[None]:
    yield from write(lambda store: store.delete(ids=ids))
