"""Whether time and memory of generating, cleaning and mining grow with the passages alone.

A synthetic corpus of each size is indexed by an encoder without a model. Questions are written by
a chat model that answers at once, so that only trivec's own work is measured. Each size runs in a
process of its own, whose peak memory is its own. The ratio of time per passage, of the largest to
the smallest size, says how linear a stage is: 1 is linear, and n log n is a little above.

    python -m benchmarks.training_data [--sizes 1000 4000] [--sizes 25000 100000]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.questions import QuestionIndex, QuestionPrompts
from trivec.testing import FakeEncoder
from trivec.training.data import DatasetOptions, MiningOptions, build_dataset, gather
from trivec.types import ChatReply

__all__ = ["main", "measured"]

SIZES = (1000, 4000)
WORDS = 80
VOCABULARY = 20_000
PER_DOCUMENT = 20
SHOWN = ("generate_s", "gather_s", "build_s", "peak_mb")


def passages(count: int) -> Iterator[Chunk]:
    """Yield passages of made-up words, the same for each size."""
    draw = random.Random(0)  # noqa: S311  # not a secret
    words = ["".join(draw.choices("bcdfgklmnprst", k=2)) + str(at) for at in range(VOCABULARY)]
    for number in range(count):
        text = " ".join(draw.choices(words, k=WORDS))
        document, position = divmod(number, PER_DOCUMENT)
        yield Chunk(text, source=f"{document}.md", position=position)


class Writer:
    """A chat model that asks for some words of the passage."""

    def chat(self, messages: Sequence[Mapping[str, str]], **_: Any) -> ChatReply:
        words = [word for word in messages[-1]["content"].split() if word[-1].isdigit()]
        drawn = random.Random(" ".join(words)).sample(words, 5)  # noqa: S311  # the same
        return ChatReply(json.dumps({"questions": [f"what is said of {' '.join(drawn)}?"]}))


def measured(count: int, folder: Path) -> dict[str, float]:
    """Return seconds of each stage, and the peak memory in MB."""
    encoder = FakeEncoder(dim=32)
    config = IndexConfig(arms=("dense", "bm25"))
    with HybridIndex.open(folder / "kb", encoder, config=config) as index:
        index.add(passages(count))
        index.optimize()
        begin = time.perf_counter()
        with QuestionIndex.open(index) as questions:
            questions.generate(Writer(), prompts=QuestionPrompts(per_chunk=1, refine=False))
        generated = time.perf_counter()
        gathered = gather(index)
        read = time.perf_counter()
        mining = MiningOptions(search=SearchOptions(arms="bm25", fusion="rrf"))
        report = build_dataset(gathered, index, folder / "out", DatasetOptions(mining=mining))
        built = time.perf_counter()
    return {
        "passages": count,
        "questions": report.kept,
        "generate_s": generated - begin,
        "gather_s": read - generated,
        "build_s": built - read,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print the figures of each size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measured(arguments.one, Path(folder))))
        return
    rows = []
    for size in arguments.sizes:
        command = [sys.executable, "-m", "benchmarks.training_data", "--one", str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(
        "passages", "questions", "generating s", "gathering s", "cleaning, mining s", "MB"
    )
    for row in rows:
        figures = [f"{row[name]:.1f}" for name in SHOWN]
        table.add_row(f"{row['passages']:,}", f"{row['questions']:,}", *figures)
    first, last = rows[0], rows[-1]
    grown = last["passages"] / first["passages"]
    ratios = [f"{last[name] / first[name] / grown:.2f}" for name in SHOWN]
    table.add_row("per passage, last to first", "", *ratios)
    Console().print(table)


if __name__ == "__main__":
    main()
