"""A store without an engine: numpy, dictionaries and the pure functions of trivec.fusion."""

from __future__ import annotations

import copy
import math
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn
from uuid import UUID

import numpy as np

from trivec._runtime.dependencies import unavailable
from trivec._runtime.typed import checked, unchecked
from trivec.conditions import for_client
from trivec.errors import CollectionError, CollectionNotFoundError, InputError, StoreError
from trivec.fusion import fuse
from trivec.query import Filter, RankedList, Ranking, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.execution import Lookup, plan_query, require_page
from trivec.stores.filters import require_storable_filter
from trivec.stores.records import asked_id, searchable, storable_payloads, storable_points
from trivec.types import FloatArray, Point, PointId, SparseVector, StoredPoint, Vector

__all__ = ["MemoryStore"]


class MemoryStore:
    """A :class:`~trivec.protocols.Store` for tests: nothing on disk, exact scores, no index.

    It keeps the whole protocol, filters, IDF and fusion included, and passes the same contract
    suite as the real stores. Every search is a full scan in Python: meant for some thousand points.

    Example:
        >>> store = MemoryStore()
        >>> index = HybridIndex.open(store, FakeEncoder())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._schema: Schema | None = None
        self._points: dict[PointId, Point] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._siblings: dict[str, MemoryStore] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a MemoryStore holds what is stored here alone, and cannot be copied or pickled; "
            "HybridIndex.copy_to copies an index"
        )

    @property
    def schema(self) -> Schema | None:
        """What the store holds; None until :meth:`create`."""
        self._require_open()
        return self._schema

    @checked
    def create(self, schema: Schema) -> None:
        """Take the schema.

        Raises:
            CollectionError: there is one already.
        """
        if self.schema is not None:
            raise CollectionError("the store was created already; build a new MemoryStore")
        self._schema = schema

    @checked
    def describe(self, schema: Schema) -> None:
        """Replace the description."""
        self._existing_schema()
        self._schema = schema

    @checked
    def ensure_payload_indexes(
        self,
        indexes: Mapping[str, str],  # noqa: ARG002  # as the protocol has it
    ) -> bool:
        """Do nothing: the store looks at every point, and needs no index."""
        self._existing_schema()
        return True

    def vectors(self) -> dict[str, VectorSpec]:
        """Return every vector of the store by name."""
        return {spec.name: spec for spec in self._existing_schema().written.values()}

    @checked
    def create_vector(self, spec: VectorSpec) -> None:
        """Add a named vector; points get it by the schema, so there is nothing to make.

        Raises:
            StoreError: another vector has the name.
        """
        if self.vectors().get(spec.name, spec) != spec:
            raise StoreError(f"there is another vector {spec.name!r}; choose a name of its own")

    @checked
    def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole.

        Raises:
            InvalidVectorError: before anything is written.
            StoreError: a payload is not JSON.
        """
        schema = self._existing_schema()
        kinds = {spec.name: spec for spec in schema.written.values()}
        stored = [
            Point(
                point.id,
                {name: _kept(vector, kinds[name]) for name, vector in point.vectors.items()},
                point.payload,
            )
            for point in storable_points(schema, points)
        ]
        with self._lock:
            self._points |= {point.id: point for point in stored}

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
        schema = self._existing_schema()
        points = [Point(key, vector, {}) for key, vector in vectors.items()]
        points = storable_points(schema, points)
        kinds = {spec.name: spec for spec in schema.written.values()}
        with self._lock:
            passing = set(self._passing(where))
            for point in points:
                if point.id in passing:
                    old = self._points[point.id]
                    fresh = {
                        name: _kept(vector, kinds[name]) for name, vector in point.vectors.items()
                    }
                    self._points[point.id] = Point(point.id, {**old.vectors, **fresh}, old.payload)
            if missing := [point.id for point in points if point.id not in self._points]:
                raise StoreError(f"there are no points {missing} to give vectors to")

    @checked
    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points, vectors untouched.

        Raises:
            StoreError: a point does not exist.
            InputError: a payload is nested too deep; nothing was written.
        """
        self._existing_schema()
        storable = storable_payloads(payloads)
        with self._lock:
            for identity, payload in storable.items():
                point = self._points.get(identity)
                if point is None:
                    raise StoreError(f"there is no point {identity!r} to give a payload to")
                self._points[point.id] = Point(point.id, point.vectors, payload)

    @checked
    def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches; one list of results for each, best first."""
        schema = self._existing_schema()
        queries = searchable(schema, queries)
        with self._lock:
            return [
                [
                    _stored(self._points[identity], query.with_vectors, score)
                    for identity, score in self._ranking(query, query.limit, schema)
                ]
                for query in queries
            ]

    @checked
    def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches, each as long as its deepest prefetch."""
        schema = self._existing_schema()
        queries = searchable(schema, queries)
        with self._lock:
            rankings = [self._ranking(query, query.depth, schema) for query in queries]
            return [
                RankedList(
                    ranking,
                    [
                        _stored(
                            Point(key, self._points[key].vectors, {}), query.with_vectors, score
                        )
                        for key, score in ranking[: query.evidence]
                    ],
                )
                for query, ranking in zip(queries, rankings, strict=True)
            ]

    @checked
    def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in the order asked for."""
        self._existing_schema()
        wanted = dict.fromkeys(asked_id(identity) for identity in ids)
        with self._lock:
            return [
                _stored(self._points[identity], with_vectors)
                for identity in wanted
                if identity in self._points
            ]

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
        require_page(limit - 1)
        self._existing_schema()
        start = None if offset is None else _order(asked_id(offset))
        with self._lock:
            passing = sorted(self._passing(filter), key=_order)
            rest = [point_id for point_id in passing if start is None or _order(point_id) >= start]
            page = [_stored(self._points[point_id], with_vectors) for point_id in rest[:limit]]
        return page, rest[limit] if len(rest) > limit else None

    @checked
    def delete(self, *, ids: Sequence[PointId] | None = None, filter: Filter | None = None) -> None:
        """Delete by ids or by filter; exactly one is given."""
        if (ids is None) == (filter is None):
            raise InputError("delete takes ids or a filter, exactly one of them")
        self._existing_schema()
        with self._lock:
            gone = self._passing(filter) if ids is None else map(asked_id, ids)
            for identity in list(gone):
                self._points.pop(identity, None)

    @checked
    def count(self, filter: Filter | None = None) -> int:
        """Return the exact number of points."""
        self._existing_schema()
        with self._lock:
            return len(self._passing(filter))

    def optimize(self) -> None:
        """Do nothing: there is no index."""
        self._require_open()

    @checked
    def sibling(self, name: str) -> MemoryStore:
        """Return another store, the same one for the same name while that is open."""
        with self._lock:
            if name not in self._siblings or self._siblings[name]._closed:  # noqa: SLF001
                self._siblings[name] = MemoryStore()
            return self._siblings[name]

    def close(self) -> None:
        """Forget everything; the store cannot be used afterwards."""
        self._closed = True
        self._points = {}

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError("the MemoryStore is closed; build a new one")

    def _existing_schema(self) -> Schema:
        if self.schema is None:
            raise CollectionNotFoundError("the store was not created yet; call create(schema)")
        return self.schema

    def _passing(self, filter: Filter | None) -> list[PointId]:
        """Return the ids that pass a filter, by the rules of qdrant-client's local mode."""
        require_storable_filter(filter)
        if filter is None:
            return list(self._points)
        try:
            from qdrant_client.local.payload_filters import check_filter
        except ImportError as err:
            raise unavailable(err, "qdrant_client", "server") from err
        served = for_client(filter)

        return [
            identity
            for identity, point in self._points.items()
            if check_filter(
                served, dict(point.payload), identity, dict.fromkeys(point.vectors, True)
            )
        ]

    def _ranking(self, query: StoreQuery, most: int, schema: Schema) -> Ranking:
        plan = plan_query(query, most)
        scope = self._passing(query.filter)
        rankings = [self._look_up(lookup, scope, schema) for lookup in plan.sources]
        if isinstance(plan.root, Lookup):
            candidates = _union(rankings) if plan.sources else scope
            root = replace(plan.root, limit=most + query.offset, sources=())
            ranking = self._look_up(root, candidates, schema)
        else:
            ranking = unchecked(fuse)(plan.root, rankings)
        return ranking[query.offset : query.offset + most]

    def _look_up(self, lookup: Lookup, scope: Sequence[PointId], schema: Schema) -> Ranking:
        """Return the best of the points in scope, exactly scored."""
        if lookup.sources:
            scope = _union([self._look_up(source, scope, schema) for source in lookup.sources])
        spec = _spec(schema, lookup.using)
        vector = _kept(lookup.vector, spec)
        if isinstance(vector, SparseVector) and spec.idf:
            vector = self._times_idf(vector, spec.name)
        scores: Ranking = []
        for identity in scope:
            other = self._points[identity].vectors.get(spec.name)
            score = None if other is None else _similarity(vector, other)
            if score is not None and (lookup.threshold is None or score > lookup.threshold):
                scores.append((identity, score))
        scores.sort(key=lambda item: item[1], reverse=True)
        return scores[: lookup.limit]

    def _times_idf(self, query: SparseVector, name: str) -> SparseVector:
        """Weigh a query by ``ln((n - df + 0.5) / (df + 0.5) + 1)`` over the points that have it."""
        frequency: Counter[int] = Counter()
        total = 0
        for point in self._points.values():
            vector = point.vectors.get(name)
            if isinstance(vector, SparseVector):
                total += 1
                frequency.update(vector.indices.tolist())
        idf = [
            math.log((total - frequency[index] + 0.5) / (frequency[index] + 0.5) + 1)
            for index in query.indices.tolist()
        ]
        return SparseVector(query.indices, query.values * np.array(idf, dtype=np.float32))


def _union(rankings: Iterable[Ranking]) -> list[PointId]:
    return list(dict.fromkeys(identity for ranking in rankings for identity, _ in ranking))


def _spec(schema: Schema, name: str) -> VectorSpec:
    for spec in schema.vectors.values():
        if spec.name == name:
            return spec
    names = sorted(spec.name for spec in schema.vectors.values())
    raise StoreError(f"there is no vector {name!r}; there are {names}")


def _kept(vector: Vector, spec: VectorSpec) -> Vector:
    """Return a copy as Qdrant keeps it: dense vectors and rows at unit length."""
    if isinstance(vector, SparseVector):
        return SparseVector(vector.indices.copy(), vector.values.astype(np.float32))
    if vector.shape[-1] != spec.size:
        raise StoreError(f"vector {spec.name!r} has width {spec.size}, got {vector.shape[-1]}")
    rows = np.asarray(vector, dtype=np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit


def _similarity(query: Vector, vector: Vector) -> float | None:
    """Return the dot product or MaxSim; None without a shared sparse index, which is no match."""
    if isinstance(query, SparseVector) and isinstance(vector, SparseVector):
        shared = np.isin(query.indices, vector.indices, assume_unique=True).any()
        return query.dot(vector) if shared else None
    if isinstance(query, SparseVector) or isinstance(vector, SparseVector):
        raise StoreError("a sparse vector can be compared with a sparse one only")
    if vector.ndim == 1:
        return float(query @ vector)
    return _maximal_similarity(np.atleast_2d(query), vector)


def _maximal_similarity(query: FloatArray, rows: FloatArray) -> float:
    """Return ColBERT's MaxSim: for each query row its best match, added up."""
    return float((query @ rows.T).max(axis=1).sum())


def _stored(point: Point, with_vectors: Sequence[str], score: float = 0.0) -> StoredPoint:
    return StoredPoint(
        point.id,
        copy.deepcopy(dict(point.payload)),
        {
            name: copy.deepcopy(vector)
            for name, vector in point.vectors.items()
            if name in with_vectors
        },
        score,
    )


def _order(identity: PointId) -> tuple[bool, int]:
    """Order ids as Qdrant does: integers, then UUIDs."""
    if isinstance(identity, int):
        return False, identity
    return True, UUID(identity).int
