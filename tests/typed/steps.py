"""What the index's steps and the server's calls are, for mypy: a store's own types come through."""

from __future__ import annotations

from typing import assert_type

from qdrant_client import models

from trivec.index.steps import Steps, compute, in_background, read, write
from trivec.stores.server.calls import Calls, Operation
from trivec.types import PointId, StoredPoint


def steps(ids: list[PointId]) -> Steps[int]:
    """Answers have the types of the store's methods; arguments are checked against them."""
    found = yield from read(lambda store: store.query([]))
    assert_type(found, list[list[StoredPoint]])
    page, offset = yield from read(lambda store: store.scroll(limit=1))
    assert_type(page, list[StoredPoint])
    assert_type(offset, PointId | None)
    length = yield from compute(lambda: len(ids))
    assert_type(length, int)
    yield from read(lambda store: store.retrieve(7))  # type: ignore[arg-type]
    yield from read(lambda store: store.no_such_method())  # type: ignore[union-attr]
    yield from write(lambda store: store.delete(ids="a", where=None))  # type: ignore[call-arg]
    yield from in_background(lambda store: store.count())  # type: ignore[arg-type,return-value]
    return (yield from read(lambda store: store.count()))


def operation(calls: Calls) -> Operation[int]:
    """Answers have the types of the client's methods."""
    info = yield from calls.info()
    assert_type(info, models.CollectionInfo)
    return (yield from calls.count(None)).count
