"""A server store for worker threads, whose client lives on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from trivec.errors import StoreError
from trivec.stores.server.calls import Operation
from trivec.stores.server.operations import Operations
from trivec.stores.server.store import ServerStore

__all__ = ["LoopServerStore"]

T = TypeVar("T")


class LoopServerStore(ServerStore):
    """A :class:`ServerStore` whose requests are sent on an event loop.

    For what an asynchronous index does in worker threads, such as creating the collection. The
    loop's own thread cannot call it: it would wait for itself.

    Args:
        operations: of the collection.
        send: carries an operation out, on the loop.
        loop: where the client is used.
        beside: returns the store of another collection, by its name after this one's.
    """

    def __init__(
        self,
        operations: Operations,
        send: Callable[[Operation[Any]], Coroutine[Any, Any, Any]],
        loop: asyncio.AbstractEventLoop,
        beside: Callable[[str], LoopServerStore],
    ) -> None:
        self._operations = operations
        self._send_on_loop = send
        self._loop = loop
        self._beside = beside
        self._closed = False

    def sibling(self, name: str) -> LoopServerStore:
        """Return the store of the collection ``<this one>_<name>`` behind the same client."""
        return self._beside(name)

    def _run(self, operation: Operation[T]) -> T:
        if self._closed:
            raise StoreError(f"{self!r} is closed; build a new store over the client")
        try:
            is_on_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_on_loop = False
        if is_on_loop:
            raise StoreError(
                "this index lives on the event loop; await the methods of its AsyncHybridIndex"
            )
        result: T = asyncio.run_coroutine_threadsafe(
            self._send_on_loop(operation), self._loop
        ).result()
        return result
