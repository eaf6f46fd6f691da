"""Time of reranking against FlagEmbedding's ``FlagReranker``: same folder, fp32 on the CPU.

One query and 50 passages of about 200 tokens. The weights are random: they cost what trained ones
do. Runs of the two are interleaved and medians compared, because a machine's speed drifts. At its
default of 128 pairs a batch FlagEmbedding runs all 50 twice, as it does with every first batch.
What reranking does to the order is measured by ``benchmarks.reranking_quality``.

    python -m benchmarks.reranking [--layers 12] [--hidden-size 768] [--heads 12] [--passages 50]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from trivec.rerankers import FlagReranker
from trivec.testing import build_tiny_reranker

__all__ = ["Result", "Size", "main", "run"]

GOAL = 1.8
PASSAGE_TOKENS = 200
SPREAD = 0.25  # passages are so much shorter or longer
TOLERANCE = 1e-4
QUERY = "which river rises in the mountains and flows to the sea?"
TEXT = (
    "the river rises in mountains and flows through three countries to sea she opened window "
    "because room had been closed all winter penguins cannot fly but they swim faster than most "
    "fish how many people lived old town"
)


@dataclass(frozen=True)
class Size:
    """Of the model, by default bge-reranker-base's; trivec's and FlagEmbedding's are one folder."""

    layers: int = 12
    hidden_size: int = 768
    heads: int = 12


@dataclass(frozen=True)
class Result:
    """Median seconds for one query and its passages, and what the passages are."""

    ours: float
    theirs: float
    passages: int
    tokens: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def run(size: Size, passages: int = 50, rounds: int = 2) -> Result:
    os.environ.setdefault("TQDM_DISABLE", "1")  # FlagEmbedding draws bars into the table
    from FlagEmbedding import FlagReranker as Theirs

    with tempfile.TemporaryDirectory() as place:
        folder = build_tiny_reranker(
            Path(place),
            hidden_size=size.hidden_size,
            layers=size.layers,
            attention_heads=size.heads,
        )
        reranker = FlagReranker(folder)
        reranker.load()
        peer = Theirs(str(folder), use_fp16=False, devices="cpu")
    texts, tokens = _texts(peer.tokenizer, passages)
    times = _interleaved(
        {
            "ours": lambda texts: reranker.score(QUERY, texts),
            "theirs": lambda texts: peer.compute_score([(QUERY, text) for text in texts]),
        },
        texts,
        rounds,
    )
    return Result(times["ours"], times["theirs"], passages, tokens)


def _texts(
    tokenizer: Callable[[Sequence[str]], Mapping[str, list[list[int]]]], count: int
) -> tuple[list[str], float]:
    """Return passages of random words, and their mean length in tokens."""
    random, words = Random(0), TEXT.split()  # noqa: S311  # no secret
    per_word = len(tokenizer([TEXT])["input_ids"][0]) / len(words)
    texts = []
    for _ in range(count):
        wanted = PASSAGE_TOKENS * random.uniform(1 - SPREAD, 1 + SPREAD)
        texts.append(" ".join(random.choices(words, k=round(wanted / per_word))))
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    return texts, sum(lengths) / count


def _interleaved(
    works: Mapping[str, Callable[[Sequence[str]], list[float]]],
    texts: Sequence[str],
    rounds: int,
) -> dict[str, float]:
    """Return the median seconds of each work, run by turns; a warm-up checks that they agree."""
    first, second = (work(texts) for work in works.values())
    if max(abs(one - other) for one, other in zip(first, second, strict=True)) > TOLERANCE:
        raise RuntimeError("the two score differently; their times say nothing")
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = perf_counter()
            work(texts)
            times[name].append(perf_counter() - started)
    return {name: median(values) for name, values in times.items()}


def _table(result: Result, size: Size) -> Table:
    table = Table(
        title=f"Reranking, {size.layers} layers of {size.hidden_size}, fp32 on the CPU, against "
        "FlagEmbedding on the same folder"
    )
    for name in ("", "trivec ms", "FlagEmbedding ms", "ratio", "goal"):
        table.add_column(name, justify="right" if name else "left")
    ours, theirs = (f"{seconds * 1000:,.0f}" for seconds in (result.ours, result.theirs))
    table.add_row(
        f"1 query, {result.passages} passages of {result.tokens:.0f} tokens",
        ours,
        theirs,
        f"{result.ratio:.2f}x",
        f"{GOAL:g}x",
        style=None if result.ratio >= GOAL else "red",
    )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reranking", description=__doc__)
    parser.add_argument("--layers", type=int, default=Size.layers)
    parser.add_argument("--hidden-size", type=int, default=Size.hidden_size)
    parser.add_argument("--heads", type=int, default=Size.heads)
    parser.add_argument("--passages", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args(arguments)
    size = Size(options.layers, options.hidden_size, options.heads)
    result = run(size, options.passages, options.rounds)
    Console().print(_table(result, size))
    return int(result.ratio < GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
