"""Time and memory of exported models against FlagEmbedding and sentence-transformers, on the CPU.

Models of the sizes of BGE-M3 and bge-reranker-v2-m3 with random weights, which cost what trained
ones do, built and exported here. All run on the same folder and the same number of threads, by
turns. FlagEmbedding runs its first batch twice; of 64 passages its default batch of 256 is all.

    python -m benchmarks.onnx [--layers 24] [--hidden-size 1024] [--heads 16] [--passages 64]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from trivec.encoders import FlagEncoder, OnnxEncoder, OnnxOptions
from trivec.exporting import ExportOptions, export_encoder, export_reranker
from trivec.rerankers import FlagReranker, OnnxReranker, OnnxRerankerOptions
from trivec.testing import build_tiny_m3, build_tiny_reranker

__all__ = ["Row", "Size", "main", "run"]

QUERY_ROUNDS = 15
QUERIES = 3  # of a round
OUR_ROUNDS = 2
PAUSE = 0.05  # seconds in which the worker threads of the library before stop spinning
PASSAGE_TOKENS = 200
SPREAD = 0.25  # passages are so much shorter or longer
QUERY = "where is the sea?"
TEXT = (
    "the river rises in mountains and flows through three countries to sea she opened window "
    "because room had been closed all winter penguins cannot fly but they swim faster than most "
    "fish how many people lived old town"
)
MOST_MEMORY = 1.3e9
VOCABULARY = 250_002


@dataclass(frozen=True)
class Size:
    """Of the models."""

    layers: int = 24
    hidden_size: int = 1024
    heads: int = 16

    @property
    def multiplications(self) -> int:
        """Of a token with the weights of all layers."""
        return 12 * self.layers * self.hidden_size**2

    @property
    def is_real(self) -> bool:
        """Whether goals apply: smaller models spend their time elsewhere."""
        return self == Size()


@dataclass(frozen=True)
class Row:
    """Median seconds of trivec and of another library for the same work."""

    what: str
    ours: float
    theirs: float
    goal: float | None = None

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours

    @property
    def missed(self) -> bool:
        return self.goal is not None and self.ratio < self.goal


def run(size: Size, passages: int, pairs: int, console: Console) -> bool:
    """Measure and print; return whether every goal was reached."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # FlagEmbedding draws bars into the table
    with tempfile.TemporaryDirectory() as place:
        rows, share, memory = _encoding(size, passages, Path(place))
        gc.collect()
        rows += _reranking(size, pairs, Path(place))
    console.print(_table(rows, size))
    console.print(
        f"share of the 8-bit products per second that one large matrix reaches: {share:.0%}\n"
        f"peak memory of a process that encodes a query and the passages: {memory / 1e6:,.0f} MB "
        f"(goal: under {MOST_MEMORY / 1e6:,.0f})"
    )
    within = memory < MOST_MEMORY
    return not size.is_real or (within and not any(row.missed for row in rows))


def _encoding(size: Size, passages: int, place: Path) -> tuple[list[Row], float, float]:
    folder = build_tiny_m3(
        place / "m3",
        hidden_size=size.hidden_size,
        layers=size.layers,
        attention_heads=size.heads,
        vocabulary_size=VOCABULARY,
    )
    _in_a_process("export", folder, place / "m3-onnx")  # its memory goes with it
    encoder = OnnxEncoder(place / "m3-onnx", options=OnnxOptions(precision="int8"))
    encoder.load()
    texts, tokens = _texts(lambda text: len(encoder.tokenizer.encode(text).ids), passages)
    heads = ("dense", "sparse")
    query = {"ours": lambda: encoder.encode_queries([QUERY], heads=heads)}
    dense = {"ours": lambda: encoder.encode_queries([QUERY], heads=("dense",))}
    many = {"ours": lambda: encoder.encode_documents(texts, heads=heads)}
    flag, sentences = _flag(folder), _sentence_transformer(folder)
    one = f"one query of {len(encoder.tokenizer.encode(QUERY).ids)} tokens"
    what = f"{passages} passages of {tokens / passages:.0f} tokens"

    def corpus(batch_size: int) -> Callable[[], Any]:
        return lambda: flag.encode_corpus(
            texts, batch_size=batch_size, return_dense=True, return_sparse=True
        )

    asked = _by_turns({**query, "flag": lambda: flag.encode_queries([QUERY], return_sparse=True)})
    asked_dense = _by_turns({**dense, "st": lambda: sentences.encode([QUERY])})
    works = (corpus(256), corpus(16), lambda: sentences.encode(texts))
    by_256, by_16, by_32 = _each_between(many["ours"], works)
    rows = [
        Row(f"{one}: BGEM3FlagModel", asked["ours"], asked["flag"], 15),
        Row(f"{one}, dense only: sentence-transformers", *asked_dense.values(), 6),
        Row(f"{what}: BGEM3FlagModel, its default", *by_256, 10),
        Row(f"{what}: BGEM3FlagModel, batch_size=16", *by_16, 6),
        Row(f"{what}, dense only: sentence-transformers", *by_32, 4),
    ]
    ours = median([by_256[0], by_16[0], by_32[0]])
    share = size.multiplications * tokens / ours / _ceiling(place)
    memory = float(_in_a_process("memory", place / "m3-onnx", json.dumps(texts)))
    return rows, share, memory


def _reranking(size: Size, pairs: int, place: Path) -> list[Row]:
    from FlagEmbedding import FlagReranker as Theirs

    folder = build_tiny_reranker(
        place / "reranker",
        hidden_size=size.hidden_size,
        layers=size.layers,
        attention_heads=size.heads,
        vocabulary_size=VOCABULARY,
    )
    _in_a_process("export-reranker", folder, place / "reranker-onnx")
    options = OnnxRerankerOptions(precision="int8")
    reranker = OnnxReranker(place / "reranker-onnx", options=options)
    peer = Theirs(str(folder), use_fp16=False, devices="cpu")
    texts, tokens = _texts(lambda text: len(peer.tokenizer(text)["input_ids"]), pairs)
    reranker.score(QUERY, texts[:1])
    peer.compute_score([(QUERY, texts[0])])
    (times,) = _each_between(
        lambda: reranker.score(QUERY, texts),
        [lambda: peer.compute_score([(QUERY, text) for text in texts])],
    )
    what = f"1 query x {pairs} passages of {tokens / pairs:.0f} tokens: FlagReranker, its default"
    return [Row(what, *times, 6)]


def _flag(folder: Path) -> Any:
    from FlagEmbedding import BGEM3FlagModel

    return BGEM3FlagModel(str(folder), use_fp16=False, devices="cpu")


def _sentence_transformer(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(folder))
    pooling = Pooling(transformer.get_embedding_dimension(), "cls")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")


def _texts(length: Callable[[str], int], count: int) -> tuple[list[str], int]:
    """Return passages of random words, and their tokens together."""
    random, words = Random(0), TEXT.split()  # noqa: S311  # no secret
    per_word = length(TEXT) / len(words)
    texts = []
    for _ in range(count):
        wanted = PASSAGE_TOKENS * random.uniform(1 - SPREAD, 1 + SPREAD)
        texts.append(" ".join(random.choices(words, k=round(wanted / per_word))))
    return texts, sum(map(length, texts))


def _by_turns(works: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
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


def _each_between(
    ours: Callable[[], Any], theirs: Sequence[Callable[[], Any]]
) -> list[tuple[float, float]]:
    """Return the seconds of our long work and of each of theirs, which runs once.

    A machine may be quicker or slower some minutes later: ours runs before and after each of
    theirs, and the median of those runs is what it is compared with.
    """
    before, pairs = _times(ours, OUR_ROUNDS), []
    for work in theirs:
        (seconds,) = _times(work, 1)
        after = _times(ours, OUR_ROUNDS)
        pairs.append((median([*before, *after]), seconds))
        before = after
    return pairs


def _times(work: Callable[[], Any], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return times


def _ceiling(place: Path) -> float:
    """Return the 8-bit multiplications per second of one large matrix product, nothing around."""
    import onnxruntime

    from trivec.exporting.graph import Graph  # as the export writes it

    rows, width = 2048, 2048
    random = np.random.default_rng(0)
    with (place / "product.data").open("wb") as data:
        graph = Graph(data, "product.data")
        graph.input("rows", "UINT8", [rows, width])
        weight = random.integers(-127, 128, (width, width)).astype(np.int8)
        operands = ["rows", graph.constant("weight", weight)]
        graph.output(graph.node("MatMulInteger", operands, "product"), "INT32", [rows, width])
        path = place / "product.onnx"
        path.write_bytes(graph.model().SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {"rows": random.integers(0, 256, (rows, width)).astype(np.uint8)}
    return rows * width**2 / min(_times(lambda: session.run(None, inputs), 15))


def _in_a_process(what: str, *arguments: object) -> str:
    """Do one thing in a process of its own and return what it prints."""
    command = [sys.executable, "-m", "benchmarks.onnx", "--do", what, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _do(what: str, folder: Path, argument: str) -> None:
    options = ExportOptions(precisions=("int8",))
    if what == "export":
        export_encoder(FlagEncoder(folder), argument, options=options)
    elif what == "export-reranker":
        export_reranker(FlagReranker(folder), argument, options=options)
    else:
        encoder = OnnxEncoder(folder, options=OnnxOptions(precision="int8"))
        encoder.encode_queries([QUERY])
        encoder.encode_documents(json.loads(argument))
        status = Path("/proc/self/status").read_text("ascii")
        (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        print(int(peak) * 1024)


def _table(rows: Sequence[Row], size: Size) -> Table:
    table = Table(title=f"int8 by ONNX Runtime, {size.layers} layers of {size.hidden_size}")
    for name in ("", "trivec ms", "theirs ms", "ratio", "goal"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        ours, theirs = (f"{seconds * 1000:,.1f}" for seconds in (row.ours, row.theirs))
        goal = f"{row.goal:g}x" if row.goal else ""
        style = "red" if row.missed else None
        table.add_row(row.what, ours, theirs, f"{row.ratio:.1f}x", goal, style=style)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnx", description=__doc__)
    parser.add_argument("--layers", type=int, default=Size.layers)
    parser.add_argument("--hidden-size", type=int, default=Size.hidden_size)
    parser.add_argument("--heads", type=int, default=Size.heads)
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--do", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.do:
        what, folder, argument = options.do
        _do(what, Path(folder), argument)
        return 0
    size = Size(options.layers, options.hidden_size, options.heads)
    return int(not run(size, options.passages, options.pairs, Console(width=110)))


if __name__ == "__main__":
    raise SystemExit(main())
