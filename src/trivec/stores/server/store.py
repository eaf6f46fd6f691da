"""The server store: a collection behind a ``QdrantClient`` that the caller has built."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from trivec._runtime.driving import drive
from trivec._runtime.typed import checked
from trivec.errors import StoreError
from trivec.query import Filter, RankedList, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.server.calls import Operation, Request
from trivec.stores.server.failures import RetryPolicy, call, default_policy, key_of
from trivec.stores.server.operations import Operations, is_local, require_client
from trivec.stores.server.wire import bounded_answers
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["ServerStore"]

T = TypeVar("T")

PARALLEL_WRITES = 4


class ServerStore:
    """Points in a collection of a Qdrant server, by REST or gRPC as the client was built.

    ``QdrantClient(":memory:")`` and ``QdrantClient(path=...)`` work too; they search by brute
    force in Python and are one user at a time. The client stays the caller's: :meth:`close`
    leaves it open.

    Requests that fail for a passing reason are repeated, see :class:`RetryPolicy`. Writes are cut
    by bytes and wait until the server has applied them. For ColBERT prefer a client with
    ``prefer_grpc=True``: its requests are a fifth as large.

    Args:
        client: a built client.
        collection: the collection's name.
        retry: how long requests may take and failed ones are repeated. None: as long as
            ``RetryPolicy()`` says; reads as long as the client's own timeout, where that is longer.
        index_on_demand: make the payload index that a filter needs where the server demands one
            (strict mode); False raises FilterError instead.

    Raises:
        InputError: the client is an asynchronous one.
    """

    @checked
    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        *,
        retry: RetryPolicy | None = None,
        index_on_demand: bool = True,
    ) -> None:
        require_client(client, "QdrantClient", "AsyncServerStore")
        self._client = client
        self._retry = retry or default_policy(client)
        self._index_on_demand = index_on_demand
        self._operations = Operations(
            client,
            collection,
            patience=self._retry.write_deadline,
            index_on_demand=index_on_demand,
        )
        self._closed = False
        self._is_local = is_local(client)
        self._local = threading.RLock()  # taken in local mode, which is not thread-safe

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a ServerStore holds a connection and perhaps its key, and cannot be copied or "
            "pickled; build a client and a store where it is needed"
        )

    def __repr__(self) -> str:
        name = self._operations.collection  # a client's repr may hold a key
        return f"ServerStore(collection={name!r})"

    @property
    def parallel_writes(self) -> int:
        """How many writes gain from being under way at once."""
        return 1 if self._is_local else PARALLEL_WRITES

    @property
    def schema(self) -> Schema | None:
        """What the collection holds; None when it does not exist.

        A collection that trivec did not write has a schema without a fingerprint: its vectors are
        assigned to arms by kind.
        """
        return self._run(self._operations.schema())

    @checked
    def create(self, schema: Schema) -> None:
        """Create the collection with its vectors, payload indexes and description.

        Raises:
            CollectionExistsError: there is one of this name already.
            InputError: Qdrant has no such payload index.
        """
        self._run(self._operations.create(schema))

    @checked
    def describe(self, schema: Schema) -> None:
        """Replace the description; what else the collection's metadata holds stays."""
        self._run(self._operations.describe(schema))

    @checked
    def ensure_payload_indexes(self, indexes: Mapping[str, str]) -> bool:
        """Make the payload indexes that are missing: path to index type; the schema's own too.

        Returns:
            Whether all are there now; False where the client's key may not make them.

        Raises:
            InputError: Qdrant has no such payload index.
        """
        return self._run(self._operations.ensure_payload_indexes(indexes))

    def vectors(self) -> dict[str, VectorSpec]:
        """Return every vector of the collection by name, those outside the schema too."""
        return self._run(self._operations.vectors())

    @checked
    def create_vector(self, spec: VectorSpec) -> None:
        """Add a named vector to the collection; no point has it yet. Again, it changes nothing.

        Raises:
            StoreError: another vector has the name, or the server is older than 1.18.
        """
        self._run(self._operations.create_vector(spec))

    @checked
    def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole.

        Raises:
            InvalidVectorError: before anything is written.
            CollectionError: the collection was deleted and created again for other vectors.
            PointsRefusedError: the server refused points; it names them, the others were written.
        """
        self._run(self._operations.upsert(points))

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
            StoreError: a point does not exist.
        """
        self._run(self._operations.update_vectors(vectors, where))

    @checked
    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points, vectors untouched.

        Raises:
            StoreError: a point does not exist.
        """
        self._run(self._operations.overwrite_payload(payloads))

    @checked
    def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches, in one request or a few; one list of results for each, best first.

        Raises:
            InputError: a query that cannot be carried out.
        """
        return self._run(self._operations.query(queries))

    @checked
    def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches, each as long as its deepest prefetch.

        Raises:
            InputError: a query that cannot be carried out.
        """
        return self._run(self._operations.rank(queries))

    @checked
    def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in no promised order."""
        return self._run(self._operations.retrieve(ids, with_vectors))

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
        return self._run(self._operations.scroll(filter, limit, offset, with_vectors))

    @checked
    def delete(self, *, ids: Sequence[PointId] | None = None, filter: Filter | None = None) -> None:
        """Delete by ids or by filter; exactly one is given."""
        self._run(self._operations.delete(ids, filter))

    @checked
    def count(self, filter: Filter | None = None) -> int:
        """Return the exact number of points."""
        return self._run(self._operations.count(filter))

    def optimize(self) -> None:
        """Do nothing: a server optimises by itself."""

    @checked
    def sibling(self, name: str) -> ServerStore:
        """Return the store of the collection ``<this one>_<name>`` behind the same client."""
        collection = f"{self._operations.collection}_{name}"
        store = ServerStore(
            self._client, collection, retry=self._retry, index_on_demand=self._index_on_demand
        )
        store._local = self._local  # it guards the client, which both use
        return store

    def close(self) -> None:
        """End the use of the store; the client is left open."""
        self._closed = True

    def _run(self, operation: Operation[T]) -> T:
        return drive(operation, self._send)

    def _send(self, request: Request[Any]) -> Any:
        if self._closed:
            raise StoreError(f"{self!r} is closed; build a new store over the client")

        client, local = self._client, self._is_local

        def action() -> Any:
            with bounded_answers(client):
                answer = request.call(client)
            return request.checked(answer)

        def ended(seconds: float) -> Any:
            if request.within is None:
                return action()
            return request.checked(request.within(client, seconds))

        with self._local if local else contextlib.nullcontext():
            return call(
                action,
                self._retry,
                within=None if request.within is None else ended,
                write=request.write,
                local=local,
                key=key_of(client),
            )
