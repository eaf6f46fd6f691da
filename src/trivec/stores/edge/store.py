"""The embedded store: Qdrant's own engine in this process, one folder on disk."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trivec._runtime.checks import check_number
from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError, StoreError
from trivec.query import Filter, RankedList, Ranking, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.edge import codec
from trivec.stores.edge.engine import Engine, join, let_go, require_schema
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.space import points_bytes, require_space, used_bytes
from trivec.stores.execution import require_page
from trivec.stores.records import (
    asked_id,
    point_id_of,
    searchable,
    storable_payloads,
    storable_points,
)
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["EdgeStore"]

_IDS_OF_A_PAGE = 4096


class EdgeStore:
    """Points in a folder, by Qdrant's engine in this process (``qdrant-edge-py``).

    One process at a time may use the folder; one that comes second waits for a moment. The stores
    of one process share the folder, and threads may share a store. A process forked from this one
    cannot use it: the engine's threads do not exist there.

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
        wait: seconds to wait for another process that has the folder open.
    """

    @checked
    def __init__(self, path: str | Path, *, wait: float = 5.0) -> None:
        check_number("wait", wait, least=0)
        self._path = user_path("path", path)
        self._wait = wait
        self._folder = IndexFolder(self._path)
        self._lock = threading.RLock()
        self._joined: Engine | None = None
        self._leaving: weakref.finalize[[Callable[[], None]], EdgeStore] | None = None
        self._closed = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an EdgeStore holds an open folder and cannot be copied or pickled; build one from its "
            "path where it is needed"
        )

    def __repr__(self) -> str:
        return f"EdgeStore({str(self._path)!r})"

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

    @checked
    def create(self, schema: Schema) -> None:
        """Create the folder with its vectors and payload indexes.

        Raises:
            CollectionExistsError: there is an index already.
            CollectionError: the folder holds something else.
            InputError: the engine has no such payload index.
        """
        self._require_open()
        with self._lock:
            codec.index_operations(schema)  # refuse before anything is written
            require_space(self._path, 0, "a new index")
            self._folder.write_schema(schema)
            self._join()

    @checked
    def describe(self, schema: Schema) -> None:
        """Replace the description."""
        with self._lock, self._engine(0):  # holding the engine, no other process writes it
            self._folder.replace_schema(schema)

    @checked
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
            with self._engine(0) as shard:
                for operation in operations:
                    shard.update(operation)
                shard.flush()
        return True

    def vectors(self) -> dict[str, VectorSpec]:
        """Return every vector of the index by name."""
        return {spec.name: spec for spec in self._existing_schema().written.values()}

    @checked
    def create_vector(self, spec: VectorSpec) -> None:
        """Add a named vector to the index; no point has it yet. Again, it changes nothing.

        Until the folder is opened again, :meth:`optimize` builds a graph for a multivector too.

        Raises:
            StoreError: another vector has the name.
        """
        with self._engine(0) as shard:
            shard.update(codec.vector_operation(spec))
            shard.flush()

    @checked
    def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole.

        Raises:
            InvalidVectorError: before anything is written.
        """
        import qdrant_edge as edge

        points = storable_points(self._existing_schema(), points)
        if points:
            with self._engine(points_bytes(points)) as shard:
                shard.update(edge.UpdateOperation.upsert_points(codec.edge_points(points)))

    @checked
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
        points = storable_points(self._existing_schema(), points)
        if points:
            with self._engine(points_bytes(points)) as shard:
                shard.update(codec.update_operation(points, where))

    @checked
    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points, vectors untouched.

        Raises:
            StoreError: a point does not exist; those before it were written.
            InputError: a payload is nested too deep; nothing was written.
        """
        import qdrant_edge as edge

        storable = storable_payloads(payloads)
        points = [Point(point, {}, payload) for point, payload in storable.items()]
        with self._engine(points_bytes(points)) as shard:
            for point, payload in storable.items():
                shard.update(edge.UpdateOperation.overwrite_payload([point], payload))

    @checked
    def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches in one pass; one list of results for each, best first.

        Raises:
            InputError: a query that cannot be carried out.
            FilterError: a filter that the engine does not have.
        """
        import qdrant_edge as edge

        queries = searchable(self._existing_schema(), queries)
        with self._engine() as shard:
            requests = [codec.edge_request(query) for query in queries]
            found = shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
        return [[codec.stored_point(point) for point in points] for points in found]

    @checked
    def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches, each as long as its deepest prefetch.

        Raises:
            InputError: a query that cannot be carried out.
            FilterError: a filter that the engine does not have.
        """
        import qdrant_edge as edge

        queries = searchable(self._existing_schema(), queries)
        with self._engine() as shard:
            requests = [codec.edge_request(query, ranked=True) for query in queries]
            found = shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
            rankings = [codec.ranking(points) for points in found]
            names = list(dict.fromkeys(name for query in queries for name in query.with_vectors))
            best = dict.fromkeys(
                key
                for query, ranking in zip(queries, rankings, strict=True)
                for key, _ in ranking[: query.evidence]
            )
            records = (
                shard.retrieve(list(best), with_payload=False, with_vector=names) if best else []
            )
        stored = {point_id_of(record.id): record.vector for record in records}
        return [
            RankedList(ranking, _evidence(query, ranking, stored))
            for query, ranking in zip(queries, rankings, strict=True)
        ]

    @checked
    def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in no promised order."""
        asked: list[Any] = list(map(asked_id, ids))
        with self._engine() as shard:
            records = shard.retrieve(asked, with_payload=True, with_vector=list(with_vectors))
        return [codec.stored_point(record) for record in records]

    @checked
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
        with self._engine() as shard:  # which names what the engine refuses
            request = edge.ScrollRequest(
                offset=None if offset is None else asked_id(offset),
                limit=limit,
                filter=codec.edge_filter(filter),
                with_payload=True,
                with_vector=list(with_vectors),
            )
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

    @checked
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
        asked: list[Any] = list(map(asked_id, ids or ()))
        with self._engine(0) as shard:
            if ids is not None:
                shard.update(edge.UpdateOperation.delete_points(asked))
            elif (within := codec.edge_filter(filter)) is not None:
                shard.update(edge.UpdateOperation.delete_points_by_filter(within))

    @checked
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
        """Flush, and release the folder; the store cannot be used afterwards.

        Other stores of this process that have the folder open keep it.
        """
        with self._lock:
            self._closed = True
            engine, self._joined = self._joined, None
            if engine is not None and self._leaving is not None and self._leaving.detach():
                engine.leave()

    @checked
    def sibling(self, name: str) -> EdgeStore:
        """Return the store of another index that lies in this one's folder, under a name."""
        return EdgeStore(self._path / name, wait=self._wait)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self!r} is closed; open the folder again with a new store")

    def _existing_schema(self) -> Schema:
        self._require_open()
        return require_schema(self._folder)

    @contextlib.contextmanager
    def _engine(self, writing: int | None = None) -> Iterator[qdrant_edge.EdgeShard]:
        """Yield the engine, opened; ``writing`` is about how many bytes will be written."""
        with self._join().use(writing) as shard:
            yield shard

    def _join(self) -> Engine:
        self._require_open()
        with self._lock:
            if self._joined is None:
                engine = join(self._path, self._wait)
                self._leaving = weakref.finalize(self, let_go, engine.leave)
                self._joined = engine
                self._folder = engine.folder  # one description for all
            return self._joined


def _evidence(
    query: StoreQuery, ranking: Ranking, stored: Mapping[PointId, Any]
) -> list[StoredPoint]:
    """Return the best points of a list with its own vectors, read no sooner, and their scores."""
    return [
        StoredPoint(key, {}, codec.stored_vectors(stored[key], query.with_vectors), score)
        for key, score in ranking[: query.evidence]
        if key in stored
    ]
