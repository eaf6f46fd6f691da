"""Carrying out operations that are written as generators of typed steps.

An operation yields what it needs done and is sent the result, so that one body serves threads and
event loops. These four are the only loops that drive one; what a step means is the caller's
``perform``. An exception of a step is thrown into the operation, which decides what to do with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar

__all__ = ["Steps", "adrive", "astream", "drive", "stream"]

StepT = TypeVar("StepT")
EventT = TypeVar("EventT")
T = TypeVar("T")

Steps: TypeAlias = Generator[StepT, Any, T]


def drive(steps: Generator[StepT, Any, T], perform: Callable[[StepT], Any]) -> T:
    """Carry out an operation in this thread and return its result.

    Args:
        steps: the operation.
        perform: does what one step asks for and returns what is sent back.
    """
    return next(stream(steps, perform, ()))


async def adrive(steps: Generator[StepT, Any, T], perform: Callable[[StepT], Awaitable[Any]]) -> T:
    """Carry out an operation on the event loop; see ``drive``."""
    async with aclosing(astream(steps, perform, ())) as results:
        return await anext(results)


def stream(
    steps: Generator[StepT, Any, T],
    perform: Callable[[StepT], Any],
    shown: type[EventT] | tuple[()],
) -> Generator[EventT | T, None, None]:
    """Carry out an operation; yield the events that it shows on the way, then its result.

    Closing the iterator closes the operation.

    Args:
        steps: the operation.
        perform: as in ``drive``; it is never given an event.
        shown: the class of its events; what it yields besides are steps.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, shown):
                yield step
                step = next(steps)
                continue
            try:
                result = perform(step)
            except Exception as err:  # noqa: BLE001  # the operation decides what to do with it
                step = steps.throw(err)
            else:
                step = steps.send(result)
    except StopIteration as stop:
        yield stop.value
    finally:
        steps.close()


async def astream(
    steps: Generator[StepT, Any, T],
    perform: Callable[[StepT], Awaitable[Any]],
    shown: type[EventT] | tuple[()],
) -> AsyncGenerator[EventT | T, None]:
    """Carry out an operation on the event loop; see ``stream``.

    A cancellation ends the step that is awaited and closes the operation.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, shown):
                yield step
                step = next(steps)
                continue
            try:
                result = await perform(step)
            except Exception as err:  # noqa: BLE001  # the same
                step = steps.throw(err)
            else:
                step = steps.send(result)
    except StopIteration as stop:
        yield stop.value
    finally:
        steps.close()
