"""What the steps of the index mean in the thread of the caller.

As on an event loop: an operation that fails still writes the groups that run in the background;
one that is interrupted or cancelled ends with the writes that are under way. Neither leaves
anything running behind the caller's back.
"""

from __future__ import annotations

import contextvars
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar, assert_never

from trivec._runtime.driving import drive
from trivec.index.steps import Compute, InBackground, Join, Step, Steps, StoreCall
from trivec.protocols import Store

__all__ = ["note_failure", "run"]

T = TypeVar("T")

MOST_AHEAD = 8
"""Groups of background writes that can run at a time; the steps say how many do."""


def run(steps: Steps[T], store: Store) -> T:
    """Carry out an operation in this thread; background writes run in others."""
    with _InThread(store) as perform:
        return drive(steps, perform)


class _InThread:
    """Performs steps in the calling thread; other threads, made when needed, write behind."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()
        self._stopping = False

    def __call__(self, step: Step) -> Any:
        match step:
            case StoreCall():
                return step.call(self._store)
            case Compute():
                return step.function()
            case InBackground():
                self._join(leaving=step.ahead - 1)
                self._pending.append(self._start(step))
            case Join():
                self._join()
            case _:
                assert_never(step)
        return None

    def _start(self, group: InBackground) -> Future[None]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(MOST_AHEAD, thread_name_prefix="trivec-write")
        return self._pool.submit(contextvars.copy_context().run, self._write, group)

    def _write(self, group: InBackground) -> None:
        for write in group.writes:
            if self._stopping:
                return
            write.call(self._store)

    def _join(self, leaving: int = 0) -> None:
        """Wait for the oldest groups, until no more than so many are left."""
        while len(self._pending) > leaving:
            self._pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = error is not None and not isinstance(error, Exception)
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        if error is None:
            self._join()
            return
        for pending in self._pending:
            note_failure(error, pending.exception())


def note_failure(error: BaseException, other: BaseException | None) -> None:
    """Say with an error that a write in the background failed as well, if one did."""
    if other is not None:
        error.add_note(f"a write in the background failed as well: {other}")
