"""Operations as generators of steps, so that one body serves the sync and the async index.

An operation yields what it needs done (a call of the store, a computation) and is sent the result.
A driver carries the steps out: ``run`` in this thread, an async one on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from trivec.protocols import Store

__all__ = ["Compute", "InBackground", "Join", "Step", "Steps", "StoreCall", "run"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreCall:
    """Call a method of the store; its result is sent back."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compute:
    """Call a function that keeps a processor busy, such as an encoder; its result is sent back."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class InBackground:
    """Make these store calls while the operation goes on.

    One group runs at a time: the one before is waited for first, and its error is raised here.
    """

    calls: tuple[StoreCall, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Wait for what runs in the background."""


Step: TypeAlias = StoreCall | Compute | InBackground | Join
Steps: TypeAlias = Generator[Step, Any, T]


def run(steps: Steps[T], store: Store) -> T:
    """Carry out an operation in this thread; background calls run in one other."""
    with _Background(store) as background:
        try:
            step = next(steps)
            while True:
                try:
                    result = _perform(step, store, background)
                except Exception as err:  # noqa: BLE001  # the operation decides what to do with it
                    step = steps.throw(err)
                else:
                    step = steps.send(result)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


def _perform(step: Step, store: Store, background: _Background) -> Any:
    match step:
        case StoreCall(method, arguments, options):
            return getattr(store, method)(*arguments, **options)
        case Compute(function):
            return function()
        case InBackground(calls):
            background.start(calls)
        case Join():
            background.join()
    return None


class _Background:
    """One thread, made when it is first needed, that runs one group of calls at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def start(self, calls: tuple[StoreCall, ...]) -> None:
        self.join()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="trivec-write")
        self._pending = self._pool.submit(self._make, calls)

    def join(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _make(self, calls: tuple[StoreCall, ...]) -> None:
        for call in calls:
            getattr(self._store, call.method)(*call.arguments, **call.options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
