"""What an operation of the index asks for, as typed steps: one body serves both kinds of index.

``hits = yield from read(lambda store: store.query(queries))`` has the type that the store's
method returns. ``trivec.index.performing`` says what a step means in threads and on an event
loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from trivec.protocols import AsyncStore, Store

__all__ = [
    "Compute",
    "InBackground",
    "Join",
    "Step",
    "Steps",
    "StoreCall",
    "Write",
    "compute",
    "in_background",
    "join",
    "read",
    "write",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreCall(Generic[T]):
    """Ask a store for something; its answer is sent back.

    Attributes:
        call: takes the store, whichever kind there is.
        write: whether it changes the collection, so that it is never cut off half-way.
    """

    call: Callable[[Store | AsyncStore], T | Awaitable[T]]
    write: bool = False


@dataclass(frozen=True, slots=True)
class Compute(Generic[T]):
    """Call a function that keeps a processor busy, such as an encoder; its result is sent back."""

    function: Callable[[], T]


@dataclass(frozen=True, slots=True)
class InBackground:
    """Make these writes, one after another, while the operation goes on.

    Attributes:
        writes: a group; at a time at most ``ahead`` groups run. The oldest are waited for first,
            and their errors are raised here.
        ahead: how many.
    """

    writes: tuple[StoreCall[None], ...]
    ahead: int = 1


@dataclass(frozen=True, slots=True)
class Join:
    """Wait for what runs in the background; its error is raised here."""


Write: TypeAlias = Callable[[Store | AsyncStore], Awaitable[None] | None]
Step: TypeAlias = StoreCall[Any] | Compute[Any] | InBackground | Join
Steps: TypeAlias = Generator[Step, Any, T]


def read(call: Callable[[Store | AsyncStore], T | Awaitable[T]]) -> Steps[T]:
    """Read from the store."""
    answer: T = yield StoreCall(call)
    return answer


def write(call: Write) -> Steps[None]:
    """Write to the store, and wait until that is done."""
    yield StoreCall(call, write=True)


def compute(function: Callable[[], T]) -> Steps[T]:
    """Compute something; see ``Compute``."""
    result: T = yield Compute(function)
    return result


def in_background(*writes: Write, ahead: int = 1) -> Steps[None]:
    """Write while the operation goes on; see ``InBackground``."""
    yield InBackground(tuple(StoreCall(call, write=True) for call in writes), ahead)


def join() -> Steps[None]:
    """Wait for what runs in the background; see ``Join``."""
    yield Join()
