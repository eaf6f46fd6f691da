"""Streams end when their reader stops, whatever they are made of."""

from __future__ import annotations

import asyncio

import pytest

from trivec.adapters import aending, ending


class Stream:
    """Pieces that can be closed, and are not closed by being forgotten."""

    def __init__(self) -> None:
        self.closed = 0
        self.pieces = iter("abc")

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        self.closed += 1

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self):
        self.closed += 1


def test_a_stream_is_closed_at_its_end_and_before():
    stream = Stream()
    with ending(stream) as pieces:
        assert list(pieces) == ["a", "b", "c"]
    assert stream.closed == 1
    stream = Stream()
    with pytest.raises(KeyError), ending(stream) as pieces:
        raise KeyError(next(pieces))
    assert stream.closed == 1


async def test_an_awaited_stream_is_closed_at_its_end_and_before():
    stream = Stream()
    async with aending(stream) as pieces:
        assert [piece async for piece in pieces] == ["a", "b", "c"]
    assert stream.closed == 1
    stream = Stream()
    with pytest.raises(KeyError):
        async with aending(stream) as pieces:
            raise KeyError(await anext(pieces))
    assert stream.closed == 1


def test_what_cannot_be_closed_is_just_read():
    with ending(["a", "b"]) as pieces:
        assert list(pieces) == ["a", "b"]


def test_a_loop_that_shuts_down_closes_what_was_left_open(caplog):
    ended = []

    async def written():
        try:
            while True:
                await asyncio.sleep(0)
                yield "a"
        finally:
            ended.append(True)

    async def read():
        async with aending(written()) as pieces:
            async for piece in pieces:
                yield piece

    async def main():
        reader = read()
        await anext(reader)
        return reader  # still open when the loop ends

    assert asyncio.run(main()) is not None
    assert ended == [True]
    assert not caplog.records
