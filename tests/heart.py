"""Whether an event loop goes on, without measuring how fast."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["Heart"]


class Heart:
    """Ticks on the event loop; after so many ticks it lets others go on.

    Whoever waits for it on the loop itself waits for ever, which the time limit turns into an
    error. No pause is measured: a machine that stalls is none that blocks.
    """

    TICKS = 25
    SECONDS = 60  # until it is taken for dead

    def __init__(self) -> None:
        self.has_beaten = threading.Event()

    def wait(self) -> None:
        """Wait, in a thread that is not the loop's, until it has ticked."""
        assert self.has_beaten.wait(timeout=self.SECONDS), "the event loop stood still"

    async def beat(self) -> None:
        """Tick."""
        for _ in range(self.TICKS):
            await asyncio.sleep(0.002)
        self.has_beaten.set()
