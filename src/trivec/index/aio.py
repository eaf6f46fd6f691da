"""The index for asyncio: the same operations, awaited; no thread waits for the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

from trivec.index.adding import Progress, add_steps
from trivec.index.hybrid import HybridIndex, add_options, binding_of
from trivec.index.options import DEFAULT_SEARCH, merged_options
from trivec.index.performing import arun
from trivec.index.pruning import delete_steps
from trivec.index.searching import get_steps, search_steps, vector_steps
from trivec.index.steps import Steps, read
from trivec.protocols import AsyncStore
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

    Args:
        index: the opened index.
        store: an asynchronous store of the same collection; None uses the index's own in threads.
    """

    def __init__(self, index: HybridIndex, store: AsyncStore | None = None) -> None:
        self._index = index
        self._store = store

    @property
    def index(self) -> HybridIndex:
        """The synchronous index."""
        return self._index

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

    async def get(self, ids: Sequence[str], *, source: str | None = None) -> list[Chunk]:
        """Return the passages with these ids; see :meth:`trivec.HybridIndex.get`."""
        return await self._run(get_steps(binding_of(self._index), ids, source))

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

    async def count(self, filter: Filter | Mapping[str, Any] | None = None) -> int:
        """Return the exact number of passages that match."""
        scope = binding_of(self._index).scope(filter)
        return await self._run(read(lambda store: store.count(scope)))

    async def _run(self, steps: Steps[T]) -> T:
        return await arun(steps, self._index.store, self._store)
