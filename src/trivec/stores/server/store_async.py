"""The asynchronous server store: a collection behind an ``AsyncQdrantClient`` of the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from trivec._runtime.driving import adrive
from trivec._runtime.typed import checked
from trivec.errors import StoreError
from trivec.protocols import Store
from trivec.query import Filter, RankedList, StoreQuery
from trivec.schema import Schema
from trivec.stores.server.calls import Operation, Request
from trivec.stores.server.failures import RetryPolicy, call_async, default_policy, key_of
from trivec.stores.server.operations import Operations, require_client
from trivec.stores.server.store_loop import LoopServerStore
from trivec.stores.server.wire import bounded_answers
from trivec.types import Point, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

__all__ = ["AsyncServerStore"]

T = TypeVar("T")

AT_ONCE = 16
"""Requests of one store that are under way at a time; a server ends more with 408."""


class AsyncServerStore:
    """Points in a collection of a Qdrant server, without blocking the event loop.

    It reads and writes what :class:`trivec.stores.ServerStore` does, in the same requests, with
    the same retries; the collection exists already. Give it to :class:`trivec.AsyncHybridIndex`,
    whose ``open`` makes one, and the collection where there is none.

    ``AsyncQdrantClient(":memory:")`` works too, but it computes on the event loop, and sees nothing
    of what a synchronous client in memory holds. The client stays the caller's.

    Args:
        client: a built client; used on one event loop.
        collection: the collection's name.
        retry: how long requests may take and failed ones are repeated, as in ``ServerStore``; the
            time that a request waits for others of this store does not count.
        index_on_demand: as in ``ServerStore``.

    Raises:
        InputError: the client is a synchronous one.
    """

    @checked
    def __init__(
        self,
        client: AsyncQdrantClient,
        collection: str,
        *,
        retry: RetryPolicy | None = None,
        index_on_demand: bool = True,
    ) -> None:
        require_client(client, "AsyncQdrantClient", "ServerStore")
        self._client = client
        self._retry = retry or default_policy(client)
        self._index_on_demand = index_on_demand
        self._operations = Operations(
            client,
            collection,
            patience=self._retry.write_deadline,
            index_on_demand=index_on_demand,
        )
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._closed = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AsyncServerStore holds a connection and perhaps its key, and cannot be copied or "
            "pickled; build a client and a store where it is needed"
        )

    def __repr__(self) -> str:
        name = self._operations.collection  # a client's repr may hold a key
        return f"AsyncServerStore(collection={name!r})"

    async def schema(self) -> Schema | None:
        """Return what the collection holds; None when it does not exist."""
        return await self._run(self._operations.schema())

    @checked
    async def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole.

        Raises:
            InvalidVectorError: before anything is written.
            CollectionError: the collection was deleted and created again for other vectors.
            PointsRefusedError: the server refused points; it names them, the others were written.
        """
        await self._run(self._operations.upsert(points))

    @checked
    async def update_vectors(
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
        await self._run(self._operations.update_vectors(vectors, where))

    @checked
    async def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points, vectors untouched.

        Raises:
            StoreError: a point does not exist.
        """
        await self._run(self._operations.overwrite_payload(payloads))

    @checked
    async def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches in one request; one list of results for each, best first.

        Raises:
            InputError: a query that cannot be carried out.
        """
        return await self._run(self._operations.query(queries))

    @checked
    async def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches, each as long as its deepest prefetch.

        Raises:
            InputError: a query that cannot be carried out.
        """
        return await self._run(self._operations.rank(queries))

    @checked
    async def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in no promised order."""
        return await self._run(self._operations.retrieve(ids, with_vectors))

    @checked
    async def scroll(
        self,
        *,
        filter: Filter | None = None,
        limit: int = 256,
        offset: PointId | None = None,
        with_vectors: Sequence[str] = (),
    ) -> tuple[list[StoredPoint], PointId | None]:
        """Return a page of points in id order, and the id that the next page starts at."""
        return await self._run(self._operations.scroll(filter, limit, offset, with_vectors))

    @checked
    async def delete(
        self, *, ids: Sequence[PointId] | None = None, filter: Filter | None = None
    ) -> None:
        """Delete by ids or by filter; exactly one is given."""
        await self._run(self._operations.delete(ids, filter))

    @checked
    async def count(self, filter: Filter | None = None) -> int:
        """Return the exact number of points."""
        return await self._run(self._operations.count(filter))

    async def close(self) -> None:
        """End the use of the store; the client is left open."""
        self._closed = True

    def for_threads(self) -> Store:
        """Return a store for worker threads, which sends its requests on the running loop."""
        loop = asyncio.get_running_loop()

        def beside(name: str) -> LoopServerStore:
            collection = f"{self._operations.collection}_{name}"
            other = AsyncServerStore(
                self._client,
                collection,
                retry=self._retry,
                index_on_demand=self._index_on_demand,
            )
            return LoopServerStore(other._operations, other._run, loop, beside)  # of this class

        return LoopServerStore(self._operations, self._run, loop, beside)

    async def _run(self, operation: Operation[T]) -> T:
        return await adrive(operation, self._send)

    async def _send(self, request: Request[Any]) -> Any:
        if self._closed:
            raise StoreError(f"{self!r} is closed; build a new store over the client")

        async def action() -> Any:
            with bounded_answers(self._client):
                answer = await request.call(self._client)
            return request.checked(answer)

        async with self._slots:
            return await call_async(
                action, self._retry, write=request.write, key=key_of(self._client)
            )
