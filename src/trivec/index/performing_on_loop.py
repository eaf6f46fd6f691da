"""What the steps of the index mean on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar, assert_never, cast

from trivec._runtime.driving import adrive
from trivec.index.performing import note_failure
from trivec.index.steps import Compute, InBackground, Join, Step, Steps, StoreCall
from trivec.protocols import AsyncStore, Store

__all__ = ["arun"]

T = TypeVar("T")

LAST_SECONDS = 10.0
"""How long a cancelled operation waits for the call that is under way."""
_CUT_SECONDS = 1.0  # for a call to end that was cut off after that

logger = logging.getLogger(__name__)


async def arun(steps: Steps[T], store: Store, awaited: AsyncStore | None) -> T:
    """Carry out an operation on the event loop.

    A cancellation leaves once nothing of the operation runs any more, after
    ``LAST_SECONDS`` at the latest. No write begins after it.

    Args:
        steps: the operation.
        store: called in worker threads where ``awaited`` is None.
        awaited: an asynchronous store of the same collection.
    """
    async with _OnLoop(store, awaited) as perform:
        return await adrive(steps, perform)


class _OnLoop:
    """Performs steps on the event loop; what would hold it up runs in worker threads."""

    def __init__(self, store: Store, awaited: AsyncStore | None) -> None:
        self._store = store
        self._awaited = awaited
        self._running: set[asyncio.Future[Any]] = set()
        self._pending: deque[asyncio.Future[None]] = deque()
        self._stopping = False

    async def __call__(self, step: Step) -> Any:
        match step:
            case StoreCall():
                if self._awaited is not None and not step.write:
                    return await self._call(step)  # a cancellation cuts it off
                return await self._finished(self._call(step))
            case Compute():
                return await self._finished(self._in_thread(step.function))
            case InBackground():
                await self._join(leaving=step.ahead - 1)
                self._pending.append(self._watched(self._write(step)))
            case Join():
                await self._join()
            case _:
                assert_never(step)
        return None

    def _call(self, step: StoreCall[T]) -> Awaitable[T]:
        if self._awaited is not None:
            return cast("Awaitable[T]", step.call(self._awaited))
        return self._in_thread(lambda: cast("T", step.call(self._store)))

    def _in_thread(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Begin a call in a worker thread, under the context variables of now."""

        def work() -> T:
            if self._stopping:  # it stood in the queue when the operation was cancelled
                return cast("T", None)
            return function()

        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(None, context.run, work)

    async def _write(self, group: InBackground) -> None:
        for write in group.writes:
            if self._stopping:
                return
            await self._call(write)

    async def _finished(self, work: Awaitable[T]) -> T:
        """Return what comes of it; a cancellation of the operation does not reach it."""
        return await _outcome(self._watched(work))

    def _watched(self, work: Awaitable[T]) -> asyncio.Future[T]:
        future = asyncio.ensure_future(work)
        self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._running.discard(future)
        failure = None if future.cancelled() else future.exception()
        if failure is not None and self._stopping:
            name = type(failure).__name__
            logger.warning("what was under way when an operation was cancelled failed: %s", name)

    async def _join(self, leaving: int = 0) -> None:
        """Wait for the oldest groups, until no more than so many are left."""
        while len(self._pending) > leaving:
            await _outcome(self._pending.popleft())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._join()
            elif isinstance(error, Exception) and self._pending:
                await asyncio.wait(self._pending)
                for pending in self._pending:
                    note_failure(error, pending.exception())
        finally:
            self._stopping = True
            await self._settle()

    async def _settle(self) -> None:
        """Wait until nothing runs any more; further cancellations do not shorten that."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LAST_SECONDS
        while self._running and (left := deadline - loop.time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(self._running, timeout=left)
        if not self._running:
            return
        logger.warning(
            "an operation was cancelled, and a call of it has not ended after %g seconds; "
            "where it runs in a thread, it goes on",
            LAST_SECONDS,
        )
        for future in self._running:
            future.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(self._running, timeout=_CUT_SECONDS)


async def _outcome(future: asyncio.Future[T]) -> T:
    """Return a result; a cancellation ends the waiting, but not what is waited for."""
    waiter = asyncio.get_running_loop().create_future()  # asyncio.wait does the same, slower

    def wake(_future: asyncio.Future[T]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    future.add_done_callback(wake)
    await waiter
    return future.result()
