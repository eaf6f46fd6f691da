"""The index for asyncio: the same operations, awaited; no thread waits for the network."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from trivec._runtime.typed import checked
from trivec._showing.tables import figures
from trivec.errors import InputError
from trivec.index.adding import add_steps
from trivec.index.config import IndexConfig
from trivec.index.copying import copy_steps, page_steps
from trivec.index.hybrid import HybridIndex, add_options, arm_steps, binding_of, known_of
from trivec.index.opening import async_store
from trivec.index.options import DEFAULT_SEARCH, Progress, merged_options
from trivec.index.performing_on_loop import arun
from trivec.index.pruning import delete_steps
from trivec.index.searching import get_steps, search_steps, vector_steps
from trivec.index.steps import Steps, compute, read
from trivec.protocols import AsyncStore, Encoder, Store
from trivec.query import Filter
from trivec.types import (
    AddReport,
    Chunk,
    FloatArray,
    Hit,
    QueryText,
    SearchOptions,
    SearchOverrides,
)

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

__all__ = ["AsyncHybridIndex"]

T = TypeVar("T")


class AsyncHybridIndex:
    """A :class:`trivec.HybridIndex` whose operations are awaited.

    Encoding runs in a worker thread, so that the event loop goes on. The store is awaited where
    it is asynchronous (``AsyncServerStore`` over Qdrant's async client) and runs in a worker
    thread where it is not (the embedded engine).

    An operation that is cancelled writes nothing more. The cancellation leaves when the call that
    is under way has ended, or after 10 seconds; a read of an asynchronous store is cut off at once.
    Every batch that was written stays; add the same chunks again to continue.

    :meth:`open` opens or creates a collection, with ``async with`` it is closed in the end.

    Args:
        index: the opened index.
        store: an asynchronous store of the same collection; None uses the index's own in threads.
    """

    @checked
    def __init__(self, index: HybridIndex, store: AsyncStore | None = None) -> None:
        self._index = index
        self._store = store

    @property
    def index(self) -> HybridIndex:
        """The synchronous index."""
        return self._index

    @classmethod
    @checked
    async def open(
        cls,
        location: str | Path | QdrantClient | AsyncQdrantClient | Store,
        encoder: Encoder,
        *,
        collection: str | None = None,
        config: IndexConfig | None = None,
        create: bool = True,
        adopt: bool = False,
        tenant: str | None = None,
    ) -> Self:
        """Open an index, or create it where there is none, without holding up the event loop.

        Args:
            location: an ``AsyncQdrantClient``, which is awaited on this loop; or what
                :meth:`trivec.HybridIndex.open` takes, which runs in worker threads.
            encoder: as there, and so are the other arguments and errors.
            collection: name of the collection on a server.
            config: what a new collection stores.
            create: False raises where there is no index, instead of creating one.
            adopt: take a collection that trivec did not write as written by this encoder.
            tenant: keep to this tenant's points.

        Example:
            >>> async with await AsyncHybridIndex.open(  # doctest: +SKIP
            ...     AsyncQdrantClient("http://localhost:6333"), encoder, collection="kb"
            ... ) as index:
            ...     hits = await index.search("How many?")
        """
        store, named = None, collection
        place: Any = location
        clients = sys.modules.get("qdrant_client")
        if clients is not None and isinstance(location, clients.AsyncQdrantClient):
            if not collection:
                raise InputError("an AsyncQdrantClient needs collection='...', its name")
            store = async_store(location, collection, config or IndexConfig())
            place, named = store.for_threads(), None
        index = await asyncio.to_thread(
            HybridIndex.open,
            place,
            encoder,
            collection=named,
            config=config,
            create=create,
            adopt=adopt,
            tenant=tenant,
        )
        return cls(index, store)

    @checked
    async def add(
        self,
        chunks: Iterable[Chunk],
        *,
        replace_sources: bool = False,
        late_chunking: bool = False,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add passages or update them; see :meth:`trivec.HybridIndex.add`."""
        options = add_options(
            self._index, replace_sources=replace_sources, late_chunking=late_chunking
        )
        return await self._run(add_steps(binding_of(self._index), chunks, options, progress))

    @checked
    async def search(
        self,
        query: str | QueryText | Sequence[QueryText],
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        **overrides: Unpack[SearchOverrides],
    ) -> list[Hit]:
        """Find the passages that answer a query; see :meth:`trivec.HybridIndex.search`."""
        return (await self.search_batch([query], k, filter=filter, options=options, **overrides))[0]

    @checked
    async def search_batch(
        self,
        queries: Sequence[str | QueryText | Sequence[QueryText]],
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        **overrides: Unpack[SearchOverrides],
    ) -> list[list[Hit]]:
        """Run several searches; see :meth:`trivec.HybridIndex.search_batch`."""
        options = merged_options(options, overrides)
        return await self._run(search_steps(binding_of(self._index), queries, k, filter, options))

    @checked
    async def search_by_vector(
        self,
        vector: Sequence[float] | FloatArray,
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        **overrides: Unpack[SearchOverrides],
    ) -> list[Hit]:
        """Search with a dense vector; see :meth:`trivec.HybridIndex.search_by_vector`."""
        options = merged_options(options, overrides)
        return await self._run(vector_steps(binding_of(self._index), vector, k, filter, options))

    @checked
    async def get(self, ids: Sequence[str], *, source: str | None = None) -> list[Chunk]:
        """Return the passages with these ids; see :meth:`trivec.HybridIndex.get`."""
        return await self._run(get_steps(binding_of(self._index), ids, source))

    @checked
    async def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        source: str | None = None,
        filter: Filter | Mapping[str, Any] | None = None,
    ) -> int:
        """Delete passages; see :meth:`trivec.HybridIndex.delete`."""
        selection = binding_of(self._index).selection(ids, source, filter)
        return await self._run(delete_steps(selection))

    @checked
    async def count(self, filter: Filter | Mapping[str, Any] | None = None) -> int:
        """Return the exact number of passages that match."""
        scope = binding_of(self._index).scope(filter)
        return await self._run(read(lambda store: store.count(scope)))

    @checked
    async def chunks(
        self, filter: Filter | Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Yield every passage, in no promised order; see :meth:`trivec.HybridIndex.chunks`."""
        binding = binding_of(self._index)
        scope, offset = binding.scope(filter), None
        while True:
            points, offset = await self._run(page_steps(scope, offset))
            for point in points:
                yield binding.codec.decode(point)
            if offset is None:
                return

    @checked
    async def copy_to(
        self, other: AsyncHybridIndex | HybridIndex, *, progress: Progress | None = None
    ) -> int:
        """Copy every passage into another index; see :meth:`trivec.HybridIndex.copy_to`."""
        target = other.index if isinstance(other, AsyncHybridIndex) else other
        steps = copy_steps(binding_of(self._index), binding_of(target), progress)
        return await self._run(steps)

    @checked
    async def add_arm(self, arm: str, *, progress: Progress | None = None) -> int:
        """Add an arm to the collection in place; see :meth:`trivec.HybridIndex.add_arm`."""
        return await self._run(arm_steps(self._index, arm, progress))

    @checked
    async def ensure_payload_index(self, key: str, kind: str | None = None) -> str:
        """Index a key of the metadata; see :meth:`trivec.HybridIndex.ensure_payload_index`.

        It is made through the synchronous index, in a worker thread.
        """
        return await asyncio.to_thread(self._index.ensure_payload_index, key, kind)

    async def optimize(self) -> None:
        """Build the engine's indexes now; see :meth:`trivec.HybridIndex.optimize`."""
        await self._run(compute(self._index.optimize))

    async def aclose(self) -> None:
        """Release the folder; a client that was given stays open. Closing twice is fine."""
        await asyncio.to_thread(self._index.close)
        if self._store is not None:
            await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncHybridIndex({self._index!r})"

    def _repr_html_(self) -> str:
        return figures(known_of(self._index), "AsyncHybridIndex")

    async def _run(self, steps: Steps[T]) -> T:
        return await arun(steps, self._index.store, self._store)
