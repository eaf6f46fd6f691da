"""Both kinds of driver carry out the same generators: results, errors, events, closing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from trivec._runtime.driving import adrive, astream, drive, stream


@dataclass(frozen=True)
class Add:
    first: int
    second: int


@dataclass(frozen=True)
class Shown:
    text: str


def perform(step: Add) -> int:
    if step.second < 0:
        raise ValueError(step)
    return step.first + step.second


async def aperform(step: Add) -> int:
    await asyncio.sleep(0)
    return perform(step)


class Both:
    """Runs a generator by the synchronous or the asynchronous driver."""

    def __init__(self, asynchronous: bool) -> None:
        self._asynchronous = asynchronous

    def result(self, steps):
        return asyncio.run(adrive(steps, aperform)) if self._asynchronous else drive(steps, perform)

    def events(self, steps):
        if not self._asynchronous:
            return list(stream(steps, perform, Shown))

        async def collect():
            return [event async for event in astream(steps, aperform, Shown)]

        return asyncio.run(collect())


@pytest.fixture(params=[False, True], ids=["thread", "event loop"])
def driver(request):
    return Both(request.param)


def test_results_are_sent_back_and_the_last_is_returned(driver):
    def steps():
        total = yield Add(1, 2)
        total = yield Add(total, 4)
        return total

    assert driver.result(steps()) == 7


def test_an_operation_without_steps_has_a_result(driver):
    def steps():
        return "done"
        yield

    assert driver.result(steps()) == "done"


def test_an_error_is_the_operations_to_handle(driver):
    def steps():
        try:
            yield Add(1, -1)
        except ValueError:
            return (yield Add(2, 2))

    assert driver.result(steps()) == 4


def test_an_error_that_nobody_handles_is_raised_and_the_operation_is_closed(driver):
    closed = []

    def steps():
        try:
            yield Add(1, -1)
        finally:
            closed.append(True)

    with pytest.raises(ValueError, match="-1"):
        driver.result(steps())
    assert closed == [True]


def test_events_come_in_order_and_the_result_last(driver):
    def steps():
        yield Shown("a")
        total = yield Add(1, 1)
        yield Shown("b")
        return total

    assert driver.events(steps()) == [Shown("a"), Shown("b"), 2]


def test_closing_the_stream_closes_the_operation():
    closed = []

    def steps():
        try:
            yield Shown("a")
            yield Shown("b")
        finally:
            closed.append(True)

    events = stream(steps(), perform, Shown)
    assert next(events) == Shown("a")
    events.close()
    assert closed == [True]


async def test_a_cancellation_closes_the_operation_without_asking_it():
    seen = []

    def steps():
        try:
            yield Add(1, 1)
        except Exception as err:  # noqa: BLE001  # a CancelledError is none of them
            seen.append(err)
        finally:
            seen.append("closed")

    async def hang(_step):
        await asyncio.Event().wait()

    task = asyncio.create_task(adrive(steps(), hang))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["closed"]
