"""A clock that only the waits between tries move, so that a machine that stalls costs no deadline.

A deadline of an hour is over after some tries, at once; whatever must end in time has the hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
import tenacity

from trivec._runtime import retrying
from trivec.encoders.remote import calls
from trivec.stores.server import failures

__all__ = ["HOUR", "Clock"]

HOUR = 3600.0
TOO_LONG = 100 * HOUR


class Clock:
    """What is told the time, and what waits, where a request is tried again.

    Attributes:
        now: the seconds that were waited so far.
        waits: each wait.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let so much time pass at once; awaited it gives the event loop a turn."""
        self.now += seconds
        self.waits.append(seconds)
        assert self.now < TOO_LONG, "it is tried again without end"
        return _Turn()

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the time in the tries of the server stores and the remote encoder."""
        told = SimpleNamespace(monotonic=self.monotonic)
        for module in (failures, calls, tenacity):
            patch.setattr(module, "time", told)
        for module in (failures, calls):
            patch.setattr(module, "attempts", self._attempts)

    def _attempts(self, *arguments: Any) -> dict[str, Callable[..., Any]]:
        return {**retrying.attempts(*arguments), "sleep": self.sleep}


class _Turn:
    """What a coroutine awaits to give others a turn; nothing is amiss where nobody awaits it."""

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.sleep(0).__await__()
