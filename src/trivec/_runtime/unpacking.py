"""Answers of an HTTP client, unpacked no further than a limit.

A client unpacks whatever comes: one megabyte may hold a gigabyte of zeros.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any

__all__ = ["AnswerTooLargeError", "library_of", "limit_answer"]


class AnswerTooLargeError(Exception):
    """An answer is larger than any that was asked for."""


def _nothing(_data: bytes) -> None:
    """Let every piece pass."""


def limit_answer(
    response: Any,
    largest: int,
    *,
    asynchronous: bool,
    look: Callable[[bytes], None] = _nothing,
) -> None:
    """Let an answer be read up to a limit, before anything of it is read.

    ``gzip`` and ``deflate`` are unpacked here. Other encodings stay as they are: ask for none.

    Args:
        response: of ``httpx``, or of a library that is made like it.
        largest: bytes of the answer once it is unpacked.
        asynchronous: whether its client is.
        look: sees each piece, and may raise.
    """
    encoding = response.headers.get("content-encoding", "identity").lower()
    response.headers.pop("content-encoding", None)
    response.headers.pop("content-length", None)
    stream = _bounded_stream(library_of(response), asynchronous=asynchronous)
    response.stream = stream(response.stream, encoding, largest, look)


@cache
def _bounded_stream(library: Any, *, asynchronous: bool) -> type[Any]:
    """Return a class of streams that a library takes for its own."""
    unpacked = _AsyncUnpacked if asynchronous else _Unpacked
    base = "AsyncByteStream" if asynchronous else "SyncByteStream"
    return type("Bounded", (unpacked, getattr(library, base)), {})


def library_of(thing: Any) -> Any:
    """Return the library that an object is of."""
    return importlib.import_module(type(thing).__module__.partition(".")[0])


class _Unpacking:
    """Unpacks the bytes of a stream and counts them."""

    def __init__(
        self, stream: Any, encoding: str, largest: int, look: Callable[[bytes], None]
    ) -> None:
        self._stream = stream
        self._look = look
        self._unpack: Any = None
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._left = largest

    def _plain(self, data: bytes) -> bytes:
        if self._unpack is not None:
            data = self._unpack.decompress(data, self._left + 1)
        self._look(data)
        self._left -= len(data)
        if self._left < 0:
            raise AnswerTooLargeError
        return data


class _Unpacked(_Unpacking):
    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            yield self._plain(data)

    def close(self) -> None:
        self._stream.close()


class _AsyncUnpacked(_Unpacking):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield self._plain(data)

    async def aclose(self) -> None:
        await self._stream.aclose()
