"""A search from the start of its process, and a query through the whole pipeline.

    python -m benchmarks.cold [--points 10000]

``trivec search`` runs in processes of its own over the sample, with ``mini`` as it is by default.
The pipeline is what ``HybridIndex.search`` does with one question: encode, three arms, fuse, read
the payload. Its index holds random vectors of mini's kind; they cost what real ones do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console

from trivec import Chunk, HybridIndex, load_encoder
from trivec.types import Encoding, SparseVector

__all__ = ["cold_search", "main", "pipeline"]

SAMPLE = Path(__file__).parent.parent / "cookbooks" / "sample"
QUESTION = "which fruit is rich in calcium?"
PROCESSES, QUERIES = 7, 100
COLD_GOAL, PIPELINE_GOAL = 1.0, 8.0  # seconds, milliseconds
NON_ZEROS = 60
WORDS = ("river", "sea", "old", "town", "glass", "stone", "light", "paper", "winter", "garden")


class RandomPassages:
    """mini for queries; passages get random vectors of its size, which take no time."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._random = np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_documents(self, texts: Sequence[str], *, heads: Any) -> list[Encoding]:  # noqa: ARG002
        made = []
        for _ in texts:
            dense = self._random.standard_normal(self.info.dense_dim, np.float32)
            ids = np.unique(self._random.integers(4, 250_000, NON_ZEROS))
            weights = self._random.random(len(ids), np.float32) + 0.01
            sparse = SparseVector(ids.astype(np.uint32), weights)
            made.append(Encoding(dense=dense / np.linalg.norm(dense), sparse=sparse))
        return made


def cold_search(place: Path) -> list[float]:
    """Return the seconds of some searches, each in a new process."""
    trivec = [sys.executable, "-m", "trivec"]
    command = [*trivec, "index", str(SAMPLE), "--to", str(place / "kb"), "--model", "mini"]
    subprocess.run(command, check=True, capture_output=True)
    times = []
    for _ in range(PROCESSES + 1):  # the first fills caches
        started = perf_counter()
        command = [*trivec, "search", str(place / "kb"), QUESTION]
        subprocess.run(command, check=True, capture_output=True)
        times.append(perf_counter() - started)
    return times[1:]


def pipeline(place: Path, points: int) -> list[float]:
    """Return the milliseconds of some queries at so many passages."""
    random = Random(0)  # noqa: S311  # texts, not secrets
    encoder = RandomPassages(load_encoder("mini"))
    encoder.load()
    with HybridIndex.open(place / "many", encoder) as index:
        index.add(
            Chunk(" ".join(random.choices(WORDS, k=40)), id=str(number)) for number in range(points)
        )
        index.optimize()
        questions = [" ".join(random.choices(WORDS, k=7)) for _ in range(QUERIES + 10)]
        times = []
        for question in questions:
            started = perf_counter()
            index.search(question, k=10)
            times.append((perf_counter() - started) * 1e3)
    return times[10:]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    points = parser.parse_args(arguments).points
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        cold, warm = cold_search(Path(name)), pipeline(Path(name), points)
    console.print(
        f"trivec search, from the start of the process: {median(cold):.2f} s, at best "
        f"{min(cold):.2f} s (goal: {COLD_GOAL:.1f} s)\n"
        f"one query at {points:,} passages, encoding included: p50 {median(warm):.1f} ms, at best "
        f"{min(warm):.1f} ms (goal: {PIPELINE_GOAL:.0f} ms)"
    )
    return int(median(cold) > COLD_GOAL or median(warm) > PIPELINE_GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
