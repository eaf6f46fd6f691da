"""The embedded store: Qdrant's own engine in this process, one folder on disk."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.errors import (
    CollectionLockedError,
    CollectionNotFoundError,
    InputError,
    StoreError,
    TrivecError,
)
from trivec.query import Filter, StoreQuery
from trivec.schema import Schema, VectorSpec, require_shallow
from trivec.stores.edge import codec
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.execution import require_page
from trivec.stores.records import point_id_of
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["EdgeStore"]

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 5.0  # Qdrant's own flush_interval_sec
_LOCKED = "WouldBlock"
_INCOMPATIBLE = "incompatible with existing segments"


class EdgeStore:
    """Points in a folder, by Qdrant's engine in this process (``qdrant-edge-py``).

    One process at a time may use the folder. Threads may share the store. A process forked from
    this one cannot use it: the engine's threads do not exist there.

    A write that returned is in the engine's write-ahead log and survives the death of the
    process. It is forced to the disk, where it survives the loss of power, within some seconds of
    further writing, and by :meth:`optimize` and :meth:`close`.

    The engine has no background optimiser: call :meth:`optimize` after bulk writes. Until then
    search is by full scan, and the IDF statistics still count points that were deleted or replaced.

    Args:
        path: the folder. It is created by :meth:`create`; constructing opens nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = IndexFolder(Path(path))
        self._lock = threading.RLock()
        self._shard: qdrant_edge.EdgeShard | None = None
        self._owner = os.getpid()
        self._closed = False
        self._flushed = time.monotonic()

    def __repr__(self) -> str:
        return f"EdgeStore({str(self._folder.path)!r})"

    @property
    def schema(self) -> Schema | None:
        """What the folder holds; None when it does not exist or is empty.

        Raises:
            CollectionError: the folder holds something else, or its description is damaged.
        """
        self._require_open()
        return self._folder.schema()

    def create(self, schema: Schema) -> None:
        """Create the folder with its vectors and payload indexes.

        Raises:
            CollectionError: there is an index already, or the folder holds something else.
            InputError: the engine has no such payload index.
        """
        self._require_open()
        with self._lock:
            codec.index_operations(schema)  # refuse before anything is written
            self._folder.write_schema(schema)
            self._open()

    def describe(self, schema: Schema) -> None:
        """Replace the description."""
        with self._lock, self._engine():  # holding the engine, no other process writes it
            self._folder.replace_schema(schema)

    def vectors(self) -> dict[str, VectorSpec]:
        """Return every vector of the index by name."""
        return {spec.name: spec for spec in self._existing_schema().written.values()}

    def create_vector(self, spec: VectorSpec) -> None:
        """Add a named vector to the index; no point has it yet. Again, it changes nothing.

        Until the folder is opened again, :meth:`optimize` builds a graph for a multivector too.

        Raises:
            StoreError: another vector has the name.
        """
        with self._engine() as shard:
            shard.update(codec.vector_operation(spec))
            shard.flush()

    def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole.

        Raises:
            InvalidVectorError: before anything is written.
        """
        import qdrant_edge as edge

        self._existing_schema().require_valid(points)
        if points:
            with self._engine() as shard:
                shard.update(edge.UpdateOperation.upsert_points(codec.edge_points(points)))
                self._flush_now_and_then(shard)

    def update_vectors(
        self,
        vectors: Mapping[PointId, Mapping[str, Vector]],
        *,
        where: Filter | None = None,
    ) -> None:
        """Set some vectors of existing points, of those that match; all else of them stays.

        Raises:
            InvalidVectorError: before anything is written.
            StoreError: a point does not exist; the others were written.
        """
        points = [Point(identity, each, {}) for identity, each in vectors.items()]
        self._existing_schema().require_valid(points)
        if points:
            with self._engine() as shard:
                shard.update(codec.update_operation(points, where))
                self._flush_now_and_then(shard)

    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points, vectors untouched.

        Raises:
            StoreError: a point does not exist; those before it were written.
            InputError: a payload is nested too deep; nothing was written.
        """
        import qdrant_edge as edge

        require_shallow(payloads)
        with self._engine() as shard:
            for point, payload in payloads.items():
                shard.update(edge.UpdateOperation.overwrite_payload([point], dict(payload)))
            self._flush_now_and_then(shard)

    def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches in one pass; one list of results for each, best first.

        Raises:
            InputError: a query that cannot be carried out.
            FilterError: a filter that the engine does not have.
        """
        import qdrant_edge as edge

        requests = [codec.edge_request(query) for query in queries]
        with self._engine() as shard:
            found = shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
        return [[codec.stored_point(point) for point in points] for points in found]

    def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in no promised order."""
        with self._engine() as shard:
            records = shard.retrieve(list(ids), with_payload=True, with_vector=list(with_vectors))
        return [codec.stored_point(record) for record in records]

    def scroll(
        self,
        *,
        filter: Filter | None = None,
        limit: int = 256,
        offset: PointId | None = None,
        with_vectors: Sequence[str] = (),
    ) -> tuple[list[StoredPoint], PointId | None]:
        """Return a page of points in id order, and the id that the next page starts at."""
        import qdrant_edge as edge

        require_page(limit - 1)
        request = edge.ScrollRequest(
            offset=offset,
            limit=limit,
            filter=codec.edge_filter(filter),
            with_payload=True,
            with_vector=list(with_vectors),
        )
        with self._engine() as shard:
            records, following = shard.scroll(request)
        page = [codec.stored_point(record) for record in records]
        return page, None if following is None else point_id_of(following)

    def delete(
        self,
        *,
        ids: Sequence[PointId] | None = None,
        filter: Filter | None = None,
    ) -> None:
        """Delete by ids or by filter; exactly one is given."""
        import qdrant_edge as edge

        if (ids is None) == (filter is None):
            raise InputError("delete takes ids or a filter, exactly one of them")
        if ids is not None:
            operation = edge.UpdateOperation.delete_points(list(ids))
        elif (within := codec.edge_filter(filter)) is not None:
            operation = edge.UpdateOperation.delete_points_by_filter(within)
        with self._engine() as shard:
            shard.update(operation)
            self._flush_now_and_then(shard)

    def count(self, filter: Filter | None = None) -> int:
        """Return the exact number of points."""
        import qdrant_edge as edge

        request = edge.CountRequest(exact=True, filter=codec.edge_filter(filter))
        with self._engine() as shard:
            return shard.count(request)

    def optimize(self) -> None:
        """Build the vector indexes and drop deleted points; blocks until it is done."""
        with self._engine() as shard:
            shard.optimize()
            shard.flush()

    def close(self) -> None:
        """Flush, and release the folder; the store cannot be used afterwards."""
        with self._lock:
            self._closed = True
            shard, self._shard = self._shard, None
            if shard is not None and self._owner == os.getpid():
                with _errors(self._folder.path):
                    shard.flush()
                    shard.close()

    def sibling(self, name: str) -> EdgeStore:
        """Return the store of another index that lies in this one's folder, under a name."""
        return EdgeStore(self._folder.path / name)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self!r} is closed; open the folder again with a new store")

    def _existing_schema(self) -> Schema:
        schema = self.schema
        if schema is None:
            raise CollectionNotFoundError(
                f"there is no index in {self._folder.path}; create it, or check the path"
            )
        return schema

    @contextlib.contextmanager
    def _engine(self) -> Iterator[qdrant_edge.EdgeShard]:
        """Yield the engine, opened; its errors become trivec's."""
        shard = self._open()
        with _errors(self._folder.path):
            yield shard

    def _open(self) -> qdrant_edge.EdgeShard:
        self._require_open()
        if self._shard is not None and self._owner != os.getpid():
            raise StoreError(
                f"{self!r} was opened before this process was forked and cannot be used here; "
                "open stores after forking, or start processes with 'spawn'"
            )
        with self._lock:
            if self._shard is not None:
                return self._shard
            schema = self._existing_schema()
            with _errors(self._folder.path):
                self._shard = _load(self._folder, schema)
            self._owner = os.getpid()
            _opened.add(self)
            return self._shard

    def _flush_now_and_then(self, shard: qdrant_edge.EdgeShard) -> None:
        # also keeps the write-ahead log short, which is replayed when the folder is opened
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            shard.flush()
            self._flushed = time.monotonic()


def _load(folder: IndexFolder, schema: Schema) -> qdrant_edge.EdgeShard:
    """Open the engine's folder; make it first where it is missing."""
    import qdrant_edge as edge

    if not folder.shard.exists():
        _build(folder, schema)
    path = str(folder.shard)
    try:  # with the configuration, because a vector that was added has the engine's defaults
        shard = edge.EdgeShard.load(path, codec.edge_config(schema))
    except Exception as err:
        if _INCOMPATIBLE not in str(err):
            raise
        # adding a vector was interrupted before the description named it
        shard = edge.EdgeShard.load(path)
    for leftover in folder.unfinished():  # of a crash, or of a process that came second
        shutil.rmtree(leftover, ignore_errors=True)
    return shard


def _build(folder: IndexFolder, schema: Schema) -> None:
    """Make the engine's folder beside its place and move it there whole."""
    import qdrant_edge as edge

    unfinished = Path(tempfile.mkdtemp(prefix=folder.UNFINISHED, dir=folder.path))
    shard = edge.EdgeShard.create(str(unfinished), codec.edge_config(schema))
    for operation in codec.index_operations(schema):
        shard.update(operation)
    shard.flush()
    shard.close()
    try:
        unfinished.rename(folder.shard)
    except OSError as err:
        if not folder.shard.exists():
            raise
        logger.debug("another process created the index first: %s", err)


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn what the engine raises, plain ``Exception`` for the most part, into trivec's errors."""
    try:
        yield
    except TrivecError:
        raise
    except Exception as err:
        reason = str(err).splitlines()[0]
        if _LOCKED in reason:
            raise CollectionLockedError(
                f"the index in {path} is open elsewhere, and one process at a time may use it; "
                "close the other one, share one store, or use a Qdrant server for several"
            ) from err
        raise StoreError(f"the engine failed on the index in {path}: {reason}") from err


_opened: weakref.WeakSet[EdgeStore] = weakref.WeakSet()
_inherited: list[Any] = []


def _keep_inherited() -> None:
    """Keep a forked child from destroying its copy of an engine, which could touch the files."""
    _inherited.extend(store._shard for store in _opened)  # noqa: SLF001  # of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)
