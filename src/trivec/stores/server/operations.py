"""What a store asks of a Qdrant server, as generators of requests.

An operation yields requests and is sent their results, so that one body serves the synchronous
and the asynchronous store; they send the requests, each in its own way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trivec.errors import CollectionError, CollectionNotFoundError, InputError, StoreError
from trivec.query import Filter, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.execution import require_page
from trivec.stores.records import point_id_of
from trivec.stores.server import collections, requests
from trivec.stores.server.batches import (
    GRPC,
    REST,
    Encoding,
    batches,
    payload_bytes,
    point_bytes,
)
from trivec.stores.server.calls import Calls, Operation
from trivec.stores.server.failures import is_refusal, is_unknown_operation
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

__all__ = ["Operations", "is_local", "require_client"]

logger = logging.getLogger(__name__)

_IDS_PER_REQUEST = 1_000


class Operations:
    """The operations of a store on one collection; they keep the schema once it was read.

    Args:
        client: of qdrant-client, synchronous or asynchronous; only its kind is looked at here.
        collection: the collection's name.

    Raises:
        InputError: a collection name that could be read as more than a name.
    """

    def __init__(self, client: QdrantClient | AsyncQdrantClient, collection: str) -> None:
        self._client = client
        self.collection = collections.require_collection_name(collection)
        self._calls = Calls(collection)
        self._schema: Schema | None = None

    def schema(self) -> Operation[Schema | None]:
        """Read what the collection holds; None when it does not exist."""
        if self._schema is None and (yield from self._calls.exists()):
            info = yield from self._calls.info()
            self._schema = collections.collection_schema(info.config)
        return self._schema

    def create(self, schema: Schema) -> Operation[None]:
        """Create the collection with its vectors, payload indexes and description."""
        indexes = collections.payload_index_types(schema)
        if (yield from self.schema()) is not None:
            raise CollectionError(
                f"there is a collection {self.collection!r} already; open it, or choose another "
                "name"
            )
        yield from self._calls.create(
            collections.vectors_config(schema),
            collections.sparse_config(schema),
            {collections.METADATA_KEY: schema.to_json()},
        )
        if not is_local(self._client):  # local mode has no payload indexes, and warns
            for path, kind in indexes.items():
                yield from self._calls.create_payload_index(path, kind)
        self._schema = schema

    def describe(self, schema: Schema) -> Operation[None]:
        """Replace trivec's note in the collection's metadata; other keys of it stay."""
        yield from self._existing_schema()
        yield from self._calls.update(metadata={collections.METADATA_KEY: schema.to_json()})
        self._schema = schema

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
                "the Qdrant server cannot add a vector to a collection, which 1.18 and later can; "
                "update it, or index again into a new collection"
            ) from err
        if spec.kind == "multivector" and not is_local(self._client):
            yield from self._calls.update(vectors={spec.name: collections.without_graph()})

    def upsert(self, points: Sequence[Point]) -> Operation[None]:
        """Insert points or replace them whole."""
        schema = yield from self._schema_with({name for point in points for name in point.vectors})
        schema.require_valid(points)
        encoding = self._encoding
        refused: dict[PointId, str] = {}
        for batch in batches(points, lambda point: point_bytes(point, encoding)):
            refused_here = yield from self._upsert_or_bisect(batch)
            refused |= refused_here
            if len(refused_here) == len(batch) > 1:
                break  # the fault is not in single points
        if refused:
            named = "; ".join(f"{point}: {reason}" for point, reason in list(refused.items())[:10])
            raise StoreError(f"the server refused {len(refused)} of {len(points)} points: {named}")

    def update_vectors(
        self, vectors: Mapping[PointId, Mapping[str, Vector]], where: Filter | None
    ) -> Operation[None]:
        """Set some vectors of existing points."""
        points = [Point(identity, each, {}) for identity, each in vectors.items()]
        schema = yield from self._schema_with({name for point in points for name in point.vectors})
        schema.require_valid(points)
        encoding = self._encoding
        for batch in batches(points, lambda point: point_bytes(point, encoding)):
            yield from self._calls.update_vectors(requests.vector_structs(batch), where)

    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> Operation[None]:
        """Replace the payload of existing points."""
        yield from self._existing_schema()
        for batch in batches(list(payloads.items()), lambda item: 100 + payload_bytes(item[1])):
            yield from self._calls.batch_update(requests.overwrite_operations(batch))

    def query(self, queries: Sequence[StoreQuery]) -> Operation[list[list[StoredPoint]]]:
        """Run several searches in one request."""
        yield from self._existing_schema()
        local = is_local(self._client)
        built = [requests.query_request(each, exact=each.exact and not local) for each in queries]
        # Qdrant refuses a limit of 0
        asked = {position: request for position, request in enumerate(built) if request.limit}
        found: list[list[StoredPoint]] = [[] for _ in queries]
        if asked:
            responses = yield from self._calls.query(list(asked.values()))
            for position, response in zip(asked, responses, strict=True):
                names = queries[position].with_vectors
                found[position] = [requests.stored_point(each, names) for each in response.points]
        return found

    def retrieve(
        self, ids: Sequence[PointId], with_vectors: Sequence[str]
    ) -> Operation[list[StoredPoint]]:
        """Read points by their ids."""
        yield from self._existing_schema()
        found: list[StoredPoint] = []
        for some in _slices(ids, 256 if with_vectors else _IDS_PER_REQUEST):
            records = yield from self._calls.retrieve(some, with_vectors)
            found += [requests.stored_point(record, with_vectors) for record in records]
        return found

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        offset: PointId | None,
        with_vectors: Sequence[str],
    ) -> Operation[tuple[list[StoredPoint], PointId | None]]:
        """Read a page of points in id order."""
        require_page(limit - 1)
        yield from self._existing_schema()
        records, following = yield from self._calls.scroll(filter, limit, offset, with_vectors)
        page = [requests.stored_point(record, with_vectors) for record in records]
        return page, None if following is None else point_id_of(following)

    def delete(self, ids: Sequence[PointId] | None, filter: Filter | None) -> Operation[None]:
        """Delete by ids or by filter; exactly one is given."""
        from qdrant_client import models

        if (ids is None) == (filter is None):
            raise InputError("delete takes ids or a filter, exactly one of them")
        yield from self._existing_schema()
        selectors: list[models.PointIdsList | models.FilterSelector] = []
        if filter is not None:
            selectors = [models.FilterSelector(filter=filter)]
        elif ids is not None:
            selectors = [
                models.PointIdsList(points=[*some]) for some in _slices(ids, _IDS_PER_REQUEST)
            ]
        for selector in selectors:
            yield from self._calls.delete(selector)

    def count(self, filter: Filter | None) -> Operation[int]:
        """Read the exact number of points."""
        yield from self._existing_schema()
        return (yield from self._calls.count(filter)).count

    @property
    def _encoding(self) -> Encoding:
        return GRPC if self._client.init_options.get("prefer_grpc") else REST

    def _upsert_or_bisect(self, points: Sequence[Point]) -> Operation[dict[PointId, str]]:
        """Write points; return those that the server refuses even alone, with its reason."""
        try:
            yield from self._calls.upsert(requests.point_structs(points))
        except StoreError as err:
            if not is_refusal(err.__cause__):
                raise
            if len(points) == 1:
                return {points[0].id: str(err)}
            logger.debug("the server refused %d points, looking for the bad ones", len(points))
            half = len(points) // 2
            first = yield from self._upsert_or_bisect(points[:half])
            return first | (yield from self._upsert_or_bisect(points[half:]))
        return {}

    def _existing_schema(self) -> Operation[Schema]:
        schema = yield from self.schema()
        if schema is None:
            raise CollectionNotFoundError(
                f"there is no collection {self.collection!r}; create it, or check the name"
            )
        return schema

    def _schema_with(self, names: set[str]) -> Operation[Schema]:
        """Return the schema, read again where another store has added a vector to it."""
        schema = yield from self._existing_schema()
        if not names <= {spec.name for spec in schema.written.values()}:
            self._schema = None
            schema = yield from self._existing_schema()
        return schema


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

    inner = client._client  # noqa: SLF001  # there is no public way
    return isinstance(inner, QdrantLocal | AsyncQdrantLocal)


def _slices(ids: Sequence[PointId], size: int) -> list[list[PointId]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]
