"""What a store asks of a Qdrant server, as generators of requests.

An operation yields requests and is sent their results, so that one body serves the synchronous
and the asynchronous store; they send the requests, each in its own way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trivec.conditions import for_client
from trivec.errors import (
    CollectionError,
    CollectionExistsError,
    CollectionNotFoundError,
    FilterError,
    InputError,
    StoreError,
)
from trivec.query import Filter, RankedList, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.execution import require_page
from trivec.stores.filters import require_storable_filter
from trivec.stores.records import (
    asked_id,
    point_id_of,
    searchable,
    storable_payloads,
    storable_points,
)
from trivec.stores.server import collections, requests
from trivec.stores.server.calls import Calls, Operation
from trivec.stores.server.failures import (
    NotAppliedError,
    is_conflict,
    is_forbidden,
    is_unknown_operation,
)
from trivec.stores.server.searching import rank, search
from trivec.stores.server.terms import Terms
from trivec.stores.server.verifying import gone, stored
from trivec.stores.server.versions import FEATURES, Version, shown
from trivec.stores.server.wire import is_oversized, wire_of
from trivec.stores.server.writing import Change, Writer
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

__all__ = ["Operations", "is_local", "require_client"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_IDS_PER_REQUEST = 1_000


class Operations:
    """The operations of a store on one collection; they keep the schema once it was read.

    Args:
        client: of qdrant-client, synchronous or asynchronous; only its kind is looked at here.
        collection: the collection's name.
        patience: seconds that a write may take.
        index_on_demand: make the payload indexes that strict mode demands.

    Raises:
        InputError: a collection name that could be read as more than a name.
    """

    def __init__(
        self,
        client: QdrantClient | AsyncQdrantClient,
        collection: str,
        *,
        patience: float = 0.0,
        index_on_demand: bool = True,
    ) -> None:
        self.collection = collections.require_collection_name(collection)
        self._local = is_local(client)
        options = getattr(client, "init_options", {})
        self._wire = wire_of(client)
        self._calls = Calls(collection, self._wire, patience)
        self._terms = Terms(
            self._calls,
            local=self._local,
            grpc=bool(options.get("prefer_grpc")),
            index_on_demand=index_on_demand,
        )
        self._schema: Schema | None = None
        self._pages: dict[tuple[str, ...], int] = {}  # the longest, by the vectors they have
        self._writer = Writer(self._terms)

    def schema(self) -> Operation[Schema | None]:
        """Read what the collection holds; None when it does not exist."""
        if self._schema is None and (yield from self._calls.exists()):
            info = yield from self._calls.info()
            self._terms.take(info.config)
            self._schema = collections.described(info)
        return self._schema

    def create(self, schema: Schema) -> Operation[None]:
        """Create the collection with its vectors, payload indexes and description."""
        indexes = collections.payload_index_types(schema)
        taken = (
            f"there is a collection {self.collection!r} already; open it, or choose another name"
        )
        if (yield from self.schema()) is not None:
            raise CollectionExistsError(taken)
        version = yield from self._terms.lacks("metadata")
        if version:
            raise CollectionError(_forgets(self.collection, version))
        note = {collections.METADATA_KEY: schema.to_json()}
        try:
            yield from self._calls.create(
                collections.vectors_config(schema), collections.sparse_config(schema), note
            )
        except StoreError as err:
            if not is_conflict(err.__cause__):
                raise
            raise CollectionExistsError(taken) from err
        if version is not None and not (yield from self._remembers()):
            raise CollectionError(_forgets(self.collection, version))
        if not self._local:  # local mode has no payload indexes, and warns
            yield from self._terms.create_indexes(indexes)
        self._schema = schema

    def describe(self, schema: Schema) -> Operation[None]:
        """Replace trivec's note in the collection's metadata; other keys of it stay."""
        yield from self._existing_schema()
        version = yield from self._terms.lacks("metadata")
        if version:
            raise CollectionError(_forgets(self.collection, version))
        yield from self._calls.update(metadata={collections.METADATA_KEY: schema.to_json()})
        self._schema = schema

    def ensure_payload_indexes(self, indexes: Mapping[str, str]) -> Operation[bool]:
        """Make the payload indexes that are missing, those of the schema too.

        Returns:
            Whether all are there now; not where the client's key allows reading alone.
        """
        schema = yield from self._existing_schema()
        wanted = replace(schema, payload_indexes={**schema.payload_indexes, **indexes})
        types = collections.payload_index_types(wanted)
        if self._local:
            return True
        info = yield from self._calls.info()
        missing = collections.missing_indexes(types, info.payload_schema)
        try:
            yield from self._terms.adapting(lambda: self._terms.create_indexes(missing), schema)
        except StoreError as err:
            if not is_forbidden(err.__cause__):
                raise
            logger.warning(
                "collection %r lacks the payload indexes %s, and the client's key may not make "
                "them; filters there are slow, and refused in strict mode",
                self.collection,
                sorted(missing),
            )
            return False
        return True

    def vectors(self) -> Operation[dict[str, VectorSpec]]:
        """Read every vector of the collection by name."""
        yield from self._existing_schema()
        info = yield from self._calls.info()
        return collections.vector_specs(info.config.params)

    def create_vector(self, spec: VectorSpec) -> Operation[None]:
        """Add a named vector to the collection."""
        yield from self._existing_schema()
        try:
            yield from self._calls.create_vector(spec.name, collections.name_config(spec))
        except StoreError as err:
            if not is_unknown_operation(err.__cause__):
                raise
            raise StoreError(
                "the Qdrant server cannot add a vector to a collection, which "
                f"{shown(FEATURES['add_vector'].since)} and later can; update it, or index again "
                "into a new collection"
            ) from err
        if spec.kind == "multivector" and not self._local:
            yield from self._calls.update(vectors={spec.name: collections.without_graph()})

    def upsert(self, points: Sequence[Point]) -> Operation[None]:
        """Insert points or replace them whole."""
        schema = yield from self._unchanged_schema()
        storable = {point.id: point for point in storable_points(schema, points)}
        change: Change[Point] = Change(
            self._wire.point,
            self._wire.size,
            self._calls.upsert,
            lambda some: self._calls.seen(*stored({key: storable[key].payload for key in some})),
        )
        yield from self._writer.write(change, storable)

    def update_vectors(
        self, vectors: Mapping[PointId, Mapping[str, Vector]], where: Filter | None
    ) -> Operation[None]:
        """Set some vectors of existing points."""
        where = _served(where)
        points = [Point(identity, given, {}) for identity, given in vectors.items()]
        schema = yield from self._unchanged_schema()
        values = {point.id: point for point in storable_points(schema, points)}
        if where is not None and (version := (yield from self._terms.lacks("update_filter"))):
            raise FilterError(
                f"the server is Qdrant {shown(version)}, which writes vectors to points that the "
                f"filter leaves out; update it to {shown(FEATURES['update_filter'].since)} or later"
            )
        change: Change[Point] = Change(
            self._wire.vectors,
            self._wire.size,
            lambda some: self._calls.update_vectors(some, self._terms.limits.filter(where)),
        )
        yield from self._terms.adapting(lambda: self._writer.write(change, values), schema, where)

    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> Operation[None]:
        """Replace the payload of existing points."""
        storable = storable_payloads(payloads)
        yield from self._unchanged_schema()
        change: Change[PointId] = Change(
            lambda key: requests.overwrite_operation(key, storable[key]),
            requests.operation_bytes,
            self._calls.batch_update,
            lambda some: self._calls.seen(*stored({key: storable[key] for key in some})),
        )
        yield from self._writer.write(change, {key: key for key in storable})

    def query(self, queries: Sequence[StoreQuery]) -> Operation[list[list[StoredPoint]]]:
        """Run several searches, in as few requests as the server takes."""
        return (yield from self._searching(search, queries))

    def rank(self, queries: Sequence[StoreQuery]) -> Operation[list[RankedList]]:
        """Return the lists of several searches."""
        return (yield from self._searching(rank, queries))

    def _searching(
        self, search: Callable[..., Operation[T]], queries: Sequence[StoreQuery]
    ) -> Operation[T]:
        queries = [
            query if query.filter is None else replace(query, filter=_served(query.filter))
            for query in queries
        ]
        filters = {id(filter): filter for query in queries if (filter := query.filter) is not None}
        for filter in filters.values():
            require_storable_filter(filter)
        schema = yield from self._existing_schema()
        queries = searchable(schema, queries)
        return (
            yield from self._terms.adapting(
                lambda: search(self._calls, self._terms, self._wire, queries, local=self._local),
                schema,
                *filters.values(),
            )
        )

    def retrieve(
        self, ids: Sequence[PointId], with_vectors: Sequence[str]
    ) -> Operation[list[StoredPoint]]:
        """Read points by their ids."""
        ids = list(map(asked_id, ids))
        yield from self._existing_schema()
        points: list[StoredPoint] = []
        for some in _slices(ids, 256 if with_vectors else _IDS_PER_REQUEST):
            points += yield from self._retrieved(some, with_vectors)
        return points

    def _retrieved(
        self, ids: Sequence[PointId], with_vectors: Sequence[str]
    ) -> Operation[list[StoredPoint]]:
        """Read points; where the answer would be too large, one half after the other."""
        try:
            return (yield from self._calls.retrieve(ids, with_vectors))
        except StoreError as err:
            if len(ids) == 1 or not is_oversized(err.__cause__):
                raise
        half = len(ids) // 2
        first = yield from self._retrieved(ids[:half], with_vectors)
        return first + (yield from self._retrieved(ids[half:], with_vectors))

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        offset: PointId | None,
        with_vectors: Sequence[str],
    ) -> Operation[tuple[list[StoredPoint], PointId | None]]:
        """Read a page of points in id order; strict mode may make it a shorter one."""
        require_page(limit - 1)
        offset = None if offset is None else asked_id(offset)
        filter = _served(filter)
        schema = yield from self._existing_schema()
        records, following = yield from self._terms.adapting(
            lambda: self._page(filter, self._terms.limits.page(limit), offset, with_vectors),
            schema,
            filter,
        )
        page = [requests.stored_point(record, with_vectors) for record in records]
        return page, None if following is None else point_id_of(following)

    def _page(
        self,
        filter: Filter | None,
        limit: int,
        offset: PointId | None,
        with_vectors: Sequence[str],
    ) -> Operation[tuple[list[Any], Any]]:
        """Read a page; where the answer would be too large, a shorter one, and so from then on."""
        limit = min(limit, self._pages.get(tuple(with_vectors), limit))
        while True:
            try:
                sent = self._terms.limits.filter(filter)
                return (yield from self._calls.scroll(sent, limit, offset, with_vectors))
            except StoreError as err:
                if limit == 1 or not is_oversized(err.__cause__):
                    raise
            limit //= 2
            self._pages[tuple(with_vectors)] = limit

    def delete(self, ids: Sequence[PointId] | None, filter: Filter | None) -> Operation[None]:
        """Delete by ids or by filter; exactly one is given."""
        from qdrant_client import models

        if (ids is None) == (filter is None):
            raise InputError("delete takes ids or a filter, exactly one of them")
        ids = list(map(asked_id, ids or ()))
        filter = _served(filter)
        schema = yield from self._existing_schema()
        if filter is not None:
            yield from self._terms.adapting(partial(self._delete_matching, filter), schema, filter)
        for some in _slices(ids, _IDS_PER_REQUEST):
            delete = partial(self._calls.delete, models.PointIdsList(points=[*some]))
            verify = partial(self._calls.seen, some, gone)
            yield from self._terms.adapting(partial(self._gone, delete, verify), schema)

    def _delete_matching(self, filter: Filter) -> Operation[None]:
        from qdrant_client import models

        sent = cast("Filter", self._terms.limits.filter(filter))
        selector = models.FilterSelector(filter=sent)
        yield from self._gone(
            partial(self._calls.delete, selector), partial(self._calls.none_match, sent)
        )

    def count(self, filter: Filter | None) -> Operation[int]:
        """Read the exact number of points."""
        filter = _served(filter)
        schema = yield from self._existing_schema()
        return (yield from self._terms.adapting(lambda: self._counted(filter), schema, filter))

    def _counted(self, filter: Filter | None) -> Operation[int]:
        """Count; page by page where strict mode takes an exact count for an exact search."""
        filter = self._terms.limits.filter(filter)
        if self._terms.limits.exact:
            return (yield from self._calls.count(filter)).count
        counted, offset = 0, None
        most = self._terms.limits.page(_IDS_PER_REQUEST)
        while True:
            page, offset = yield from self._calls.scroll(
                filter, most, offset, (), with_payload=False
            )
            counted += len(page)
            if offset is None:
                return counted

    def _gone(
        self, delete: Callable[[], Operation[None]], verify: Callable[[], Operation[None]]
    ) -> Operation[None]:
        """Delete; where that is acknowledged alone, look until the points are gone."""
        try:
            yield from delete()
        except StoreError as err:
            if not isinstance(err.__cause__, NotAppliedError):
                raise
            yield from verify()

    def _remembers(self) -> Operation[bool]:
        info = yield from self._calls.info()
        return collections.METADATA_KEY in (info.config.metadata or {})

    def _existing_schema(self) -> Operation[Schema]:
        schema = yield from self.schema()
        if schema is None:
            raise CollectionNotFoundError(
                f"there is no collection {self.collection!r}; create it, or check the name"
            )
        return schema

    def _unchanged_schema(self) -> Operation[Schema]:
        """Return the schema, read again: another may have added a vector to the collection.

        Raises:
            CollectionError: the collection was deleted and created again for other vectors.
        """
        known = yield from self._existing_schema()
        info = yield from self._calls.info(patient=True)
        self._terms.take(info.config)
        now = collections.described(info)
        collections.require_same(known, now, self.collection)
        self._schema = now
        return now


def require_client(client: object, kind: str, other: str) -> None:
    """Refuse a client of qdrant-client's of the other kind; anything else may stand in for one.

    Raises:
        InputError: it is one.
    """
    given = type(client).__name__
    if given != kind and given in ("QdrantClient", "AsyncQdrantClient"):
        raise InputError(f"the client is a {given}, allowed: {kind}; {other} takes this one")


def is_local(client: Any) -> bool:
    """Say whether the client is qdrant-client's own imitation of a server."""
    from qdrant_client.local.async_qdrant_local import AsyncQdrantLocal
    from qdrant_client.local.qdrant_local import QdrantLocal

    inner = getattr(client, "_client", None)  # there is no public way
    return isinstance(inner, QdrantLocal | AsyncQdrantLocal)


def _served(filter: Filter | None) -> Filter | None:
    """Return a filter of the client's own classes, after the checks of every store."""
    require_storable_filter(filter)
    served: Filter | None = for_client(filter)
    return served


def _slices(ids: Sequence[PointId], size: int) -> list[list[PointId]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def _forgets(collection: str, version: Version) -> str:
    here = f"is Qdrant {shown(version)}" if version else "is an older one"
    return (
        f"collection {collection!r} would not know which model wrote it: the server {here} and "
        f"drops a collection's metadata, which came with {shown(FEATURES['metadata'].since)}; "
        "update the server"
    )
