"""What events cost: a search with nobody listening, against one that tells of nothing at all.

    python -m benchmarks.events [--passages 2000] [--rounds 400]

Searches take turns: as it is, with the code that tells taken out, and with a listener. Each turn is
a pair on the same query, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from trivec import Chunk, HybridIndex
from trivec.events import listen
from trivec.index import searching
from trivec.testing import FakeEncoder

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
]


class _Nothing:
    """Stands for the watch where nothing is measured or told."""

    def __init__(self, *_given: object) -> None:
        self.laps = self

    def lap(self, stage: str) -> None:
        """Measure nothing."""

    def found(self, results: object) -> None:
        """Tell nothing."""

    def failed(self, error: BaseException) -> None:
        """Tell nothing."""


def _seconds(search: Callable[[str], object], query: str) -> float:
    start = time.process_time()  # of all threads; what else runs on the machine is not in it
    search(query)
    return time.process_time() - start


def main() -> None:
    """Print the medians, and what telling adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=400)
    given = parser.parse_args()
    watch, times = searching.SearchWatch, {"none": [], "silent": [], "heard": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", FakeEncoder()) as index,
    ):
        index.add(
            Chunk(" ".join(WORDS[(at * step) % 12] for step in range(1, 9)) + f" {at}", id=str(at))
            for at in range(given.passages)
        )
        index.optimize()
        index.search("alpha beta")
        for turn in range(given.rounds):
            query = f"{WORDS[turn % 12]} {WORDS[turn % 7]} {turn}"
            order = list(times)
            for kind in order[turn % 3 :] + order[: turn % 3]:
                searching.SearchWatch = _Nothing if kind == "none" else watch  # type: ignore[misc,assignment]
                if kind == "heard":
                    with listen(lambda _event: None):
                        times[kind].append(_seconds(index.search, query))
                else:
                    times[kind].append(_seconds(index.search, query))
    base = statistics.median(times["none"])
    print(
        f"{given.passages} passages, {given.rounds} rounds; median of a search, ms of the processor"
    )
    for kind, words in (
        ("none", "nothing told"),
        ("silent", "nobody listens"),
        ("heard", "a listener"),
    ):
        pairs = [one / other - 1 for one, other in zip(times[kind], times["none"], strict=True)]
        added = 100 * statistics.median(pairs)
        print(f"{words:15} {1000 * statistics.median(times[kind]):7.3f}  {added:+.2f} %")
    began = time.process_time()
    for _ in range(10_000):
        one = watch(index.store, ["alpha"], 10, "adaptive")
        for stage in ("words", "encode", "store", "store"):
            one.laps.lap(stage)
        one.found([])
    alone = (time.process_time() - began) / 10_000
    print(f"the code alone  {1e6 * alone:.2f} microseconds, {100 * alone / base:.3f} % of a search")


if __name__ == "__main__":
    main()
