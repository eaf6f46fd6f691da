"""The embedded store: Qdrant's own engine in this process, one folder on disk."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import shlex
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
from trivec.stores.edge import codec, manifest
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.space import points_bytes, require_space, used_bytes
from trivec.stores.execution import require_page
from trivec.stores.records import point_id_of
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["EdgeStore"]

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 5.0  # Qdrant's own flush_interval_sec
_LOCKED = "WouldBlock"
_PANIC = "PanicException"
_LISTED = 5
_IDS_OF_A_PAGE = 4096
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

    When the store is closed, the sizes and checksums of its files are written to
    ``manifest.json``, and compared when it is opened. What is damaged is not opened:
    :func:`trivec.index.check_index` and ``trivec check`` say more, and repair it.

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
        self._written = False
        self._inode: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"EdgeStore({str(self._folder.path)!r})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

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
            require_space(self._folder.path, 0, "a new index")
            self._folder.write_schema(schema)
            self._open()

    def describe(self, schema: Schema) -> None:
        """Replace the description."""
        with self._lock, self._engine(0):  # holding the engine, no other process writes it
            self._folder.replace_schema(schema)

    def ensure_payload_indexes(self, indexes: Mapping[str, str]) -> bool:
        """Make the payload indexes that the description does not list: path to index type.

        Returns:
            True: all are there now.

        Raises:
            InputError: the engine has no such payload index.
        """
        listed = self._existing_schema().payload_indexes
        missing = {path: kind for path, kind in indexes.items() if listed.get(path) != kind}
        operations = codec.index_operations(Schema({}, payload_indexes=missing))
        if operations:
            with self._engine() as shard:
                for operation in operations:
                    shard.update(operation)
                shard.flush()
        return True

    def vectors(self) -> dict[str, VectorSpec]:
        """Return every vector of the index by name."""
        return {spec.name: spec for spec in self._existing_schema().written.values()}

    def create_vector(self, spec: VectorSpec) -> None:
        """Add a named vector to the index; no point has it yet. Again, it changes nothing.

        Until the folder is opened again, :meth:`optimize` builds a graph for a multivector too.

        Raises:
            StoreError: another vector has the name.
        """
        with self._engine(0) as shard:
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
            with self._engine(points_bytes(points)) as shard:
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
            with self._engine(points_bytes(points)) as shard:
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
        points = [Point(point, {}, payload) for point, payload in payloads.items()]
        with self._engine(points_bytes(points)) as shard:
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

    def ids(self) -> Iterator[PointId]:
        """Yield the ids of all points, in order; their payloads are not read."""
        import qdrant_edge as edge

        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_IDS_OF_A_PAGE, with_payload=False, with_vector=False
            )
            with self._engine() as shard:
                records, offset = shard.scroll(request)
            yield from (point_id_of(record.id) for record in records)
            if offset is None:
                return

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
        with self._engine(0) as shard:
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
        with self._engine(used_bytes(self._folder.shard) // 3) as shard:  # as large again
            shard.optimize()
            shard.flush()

    def close(self) -> None:
        """Flush, and release the folder; the store cannot be used afterwards."""
        with self._lock:
            self._closed = True
            shard, self._shard = self._shard, None
            if shard is not None and self._owner == os.getpid():
                with _errors(self._folder.path):
                    self._close(shard)

    def _close(self, shard: qdrant_edge.EdgeShard) -> None:
        if self._is_gone():
            with contextlib.suppress(Exception):
                shard.close()
            return
        points = _count(shard)
        shard.flush()
        shard.close()
        _note_files(self._folder, points, written=self._written)

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
    def _engine(self, writing: int | None = None) -> Iterator[qdrant_edge.EdgeShard]:
        """Yield the engine, opened; its errors become trivec's.

        Args:
            writing: about how many bytes will be written; None where it only reads.
        """
        shard = self._open()
        if self._is_gone():
            raise StoreError(
                f"the folder {self._folder.path} was deleted or replaced while it was open; "
                "what was not yet read is lost; close this store and open the folder again"
            )
        if writing is not None:
            require_space(self._folder.path, writing, "this write")
            self._written = True
        with _errors(self._folder.path):
            yield shard

    def _is_gone(self) -> bool:
        """Say whether the folder is no more the one that was opened."""
        return self._inode is not None and _inode(self._folder.shard) != self._inode

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
            noted = _compare_files(self._folder)
            with _errors(self._folder.path, loading=True):
                shard = _load(self._folder, schema)
                if noted is not None and (count := _count(shard)) != noted.points:
                    shard.close()
                    noted.write(self._folder.path)  # else the next opening would not know
                    raise StoreError(
                        f"the index in {self._folder.path} has {count} points, it had "
                        f"{noted.points} when it was closed; {_remedy(self._folder.path)}"
                    )
            self._shard = shard
            self._inode = _inode(self._folder.shard)
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


def _count(shard: qdrant_edge.EdgeShard) -> int:
    import qdrant_edge as edge

    return shard.count(edge.CountRequest(exact=True))


def _compare_files(folder: IndexFolder) -> manifest.Manifest | None:
    """Compare the files with the manifest before the engine maps them, and note that they are open.

    Returns:
        What was written when the index was closed; None where nobody knows.

    Raises:
        CollectionLockedError: somebody else has the index open.
        StoreError: names the files and what to do.
    """
    with manifest.locked(folder.shard) as free:
        if not free:
            raise _open_elsewhere(folder.path)
        noted = None
        try:
            noted = manifest.read_manifest(folder.path)
            wrong = {} if noted is None else manifest.faults(folder.path, noted)
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as err:
            wrong = {manifest.NAME: f"is damaged ({err})"}
    if wrong:
        listed = "; ".join(f"{name} {what}" for name, what in list(wrong.items())[:_LISTED])
        more = f"; {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise StoreError(
            f"the index in {folder.path} is damaged: {listed}{more}; {_remedy(folder.path)}, or "
            "put back a copy of the whole folder"
        )
    if noted is None or noted.is_open:
        return None
    with contextlib.suppress(OSError):  # a folder to read only
        replace(noted, is_open=True).write(folder.path)  # opening alone changes files
    return noted


def _note_files(folder: IndexFolder, points: int, *, written: bool) -> None:
    """Write the manifest of an index that was closed, unless somebody has opened it again."""
    with manifest.locked(folder.shard) as free:
        if not free:
            return
        try:
            noted = None if written else manifest.read_manifest(folder.path)
            files = manifest.survey(folder.path, noted)
            description = json.loads(folder.description.read_text(encoding="utf-8"))
            manifest.Manifest(files, points, description).write(folder.path)
        except (OSError, ValueError, TypeError, KeyError) as err:
            logger.warning("the manifest of %s cannot be written: %s", folder.path, err)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _remedy(path: Path) -> str:
    return f"run: trivec check {shlex.quote(str(path))} --repair"


def _open_elsewhere(path: Path) -> CollectionLockedError:
    return CollectionLockedError(
        f"the index in {path} is open elsewhere, and one process at a time may use it; "
        "close the other one, share one store, or use a Qdrant server for several"
    )


@contextlib.contextmanager
def _errors(path: Path, *, loading: bool = False) -> Iterator[None]:
    """Turn what the engine raises into trivec's errors.

    That is ``Exception`` for the most part, and a ``BaseException`` where the engine panics.
    """
    try:
        yield
    except TrivecError:
        raise
    except BaseException as err:
        panicked = type(err).__name__ == _PANIC
        if not panicked and not isinstance(err, Exception):
            raise
        reason = next(iter(str(err).splitlines()), type(err).__name__)
        if _LOCKED in reason:
            raise _open_elsewhere(path) from err
        advice = f"; {_remedy(path)}" if loading or panicked else ""
        raise StoreError(f"the engine failed on the index in {path}: {reason}{advice}") from err


def _close_all() -> None:
    """Close what a program left open when it ends, so that its manifest is written."""
    for store in list(_opened):
        try:
            store.close()
        except TrivecError as err:
            logger.warning("%s", err)


_opened: weakref.WeakSet[EdgeStore] = weakref.WeakSet()
_inherited: list[Any] = []


def _keep_inherited() -> None:
    """Keep a forked child from destroying its copy of an engine, which could touch the files."""
    _inherited.extend(store._shard for store in _opened)  # noqa: SLF001  # of this module


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)
