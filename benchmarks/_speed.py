"""Times of one machine, by turns, and the share of what its CPU can do at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from trivec._models.onnx_measuring import Layout, product_model

__all__ = ["LARGE", "Limit", "Speed", "Work", "by_turns", "each_between"]

QUERY_ROUNDS = 15
QUERIES = 3  # of a round
OUR_ROUNDS = 2
PAUSE = 0.05  # seconds in which the worker threads of the library before stop spinning
LARGE = (2048, 1024, 4096)  # rows, inputs, outputs
LARGE_ROUNDS = 3


@dataclass(frozen=True)
class Work:
    """One row of a table: median seconds of trivec and of another library for the same work.

    ``share`` is how much of one large product's speed trivec's linear layers reach, all else
    counted as their time; goals are the least ``theirs / ours`` and the least share.
    """

    what: str
    ours: float
    theirs: float
    share: float | None = None
    least_ratio: float | None = None
    least_share: float | None = None

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours

    @property
    def missed(self) -> bool:
        slow = self.least_ratio is not None and self.ratio < self.least_ratio
        return slow or (self.least_share is not None and (self.share or 0) < self.least_share)


class Limit:
    """What one large product reaches with all threads, in the fastest layout that is exact."""

    def __init__(self, layouts: Sequence[Layout], size: tuple[int, int, int] = LARGE) -> None:
        import onnxruntime

        rows, inputs, outputs = size
        self._multiplications = rows * inputs * outputs
        random = np.random.default_rng(0)
        weight = random.integers(-127, 128, (inputs, outputs), np.int8)
        self._rows = random.integers(0, 256, (rows, inputs), np.uint8)
        self._sessions = [
            onnxruntime.InferenceSession(product_model(array), providers=["CPUExecutionProvider"])
            for layout in layouts
            for array in [weight if layout == "signed" else weight.view(np.uint8) ^ 128]
        ]

    def __call__(self) -> float:
        """Return multiplications per second, now."""
        works = [partial(each.run, None, {"rows": self._rows}) for each in self._sessions]
        seconds = min(min(_times(work, LARGE_ROUNDS)) for work in works)
        return self._multiplications / seconds


@dataclass(frozen=True)
class Speed:
    """The multiplications of a long work, what limits them, and the least share of that."""

    multiplications: float
    limit: Limit
    least_share: float | None

    def times_and_shares(self, work: Callable[[], Any], rounds: int) -> list[tuple[float, float]]:
        """Return the seconds of each run, and its share of the limit just before and after it."""
        found, before = [], self.limit()
        for _ in range(rounds):
            (seconds,) = _times(work, 1)
            after = self.limit()
            share = self.multiplications / seconds / ((before + after) / 2)
            found.append((seconds, share))
            before = after
        return found


def by_turns(works: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median seconds of each work, run by turns.

    A turn begins with a pause and a run that is not timed: without them a library's time depends
    on which one ran before it, whose threads keep a core for some milliseconds more.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(QUERY_ROUNDS):
        for name, work in works.items():
            sleep(PAUSE)
            work()
            times[name] += _times(work, QUERIES)
    return {name: median(values) for name, values in times.items()}


def each_between(
    ours: Callable[[], Any], theirs: Mapping[str, Callable[[], Any]], speed: Speed
) -> list[Work]:
    """Return the seconds of our long work and of each of theirs, which runs once.

    A machine may be quicker or slower some minutes later: ours runs before and after each of
    theirs, and the median of those runs is what it is compared with.
    """
    before, rows = speed.times_and_shares(ours, OUR_ROUNDS), []
    for what, work in theirs.items():
        (seconds,) = _times(work, 1)
        after = speed.times_and_shares(ours, OUR_ROUNDS)
        times, shares = zip(*before, *after, strict=True)
        rows.append(
            Work(what, median(times), seconds, median(shares), least_share=speed.least_share)
        )
        before = after
    return rows


def _times(work: Callable[[], Any], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return times
