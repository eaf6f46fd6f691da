"""Streams that are ended by whoever stops reading them, and not by chance."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Generic, TypeVar

__all__ = ["aending", "ending"]

T = TypeVar("T")


@contextmanager
def ending(pieces: Iterable[T]) -> Iterator[Iterator[T]]:
    """Give an iterator over pieces, and close it at the end where it can be closed.

    A generator that reads a model's stream is closed when its reader stops. Only what it closes in
    turn ends the request behind it at once.
    """
    iterator = iter(pieces)
    try:
        yield iterator
    finally:
        if close := getattr(iterator, "close", None):
            close()


def aending(pieces: AsyncIterable[T]) -> AbstractAsyncContextManager[AsyncIterator[T]]:
    """Give an asynchronous iterator, and close it at the end; see :func:`ending`."""
    return _AsyncEnding(aiter(pieces))


class _AsyncEnding(Generic[T]):
    """No generator of its own: a loop that shuts down closes those in any order."""

    def __init__(self, iterator: AsyncIterator[T]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._iterator

    async def __aexit__(self, *error: object) -> None:
        if close := getattr(self._iterator, "aclose", None):
            await close()
