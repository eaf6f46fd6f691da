"""Time and memory of exported models against FlagEmbedding and sentence-transformers, on the CPU.

Models of the sizes of BGE-M3 and bge-reranker-v2-m3 with random weights, which cost what trained
ones do, built and exported here, and mini. All run on the same folder and the same number of
threads, by turns. FlagEmbedding runs its first batch twice; of 64 passages its default batch of
256 is all.

How much faster than a peer int8 is depends on the CPU. What does not is the share of the products
of bytes per second that one large matrix reaches on it, in the fastest layout that is exact.

    python -m benchmarks.onnx [--layers 24] [--hidden-size 1024] [--heads 16] [--passages 64]
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks._speed import LARGE, Limit, Speed, Work, by_turns, each_between
from rich.console import Console
from rich.table import Table

from trivec._models.onnx_choice import describe, measured
from trivec._models.onnx_measuring import LAYOUTS
from trivec.encoders import FlagEncoder, OnnxEncoder, OnnxOptions
from trivec.exporting import ExportOptions, export_encoder, export_reranker
from trivec.mini import MiniEncoder, MiniFlagEncoder
from trivec.rerankers import FlagReranker, OnnxReranker, OnnxRerankerOptions
from trivec.testing import build_tiny_m3, build_tiny_reranker

__all__ = ["Goals", "Models", "Size", "main", "run"]

PASSAGE_TOKENS = 200
SPREAD = 0.25  # passages are so much shorter or longer
QUERY = "where is the sea?"
TEXT = (
    "the river rises in mountains and flows through three countries to sea she opened window "
    "because room had been closed all winter penguins cannot fly but they swim faster than most "
    "fish how many people lived old town"
)
MOST_MEMORY = 1.3e9
QUERY_RATIO = {False: 12, True: 16}  # whether signed weights, the fastest layout, are exact
LEAST_SHARE = 0.8
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


MINI = Size(layers=12, hidden_size=384, heads=12)


@dataclass(frozen=True)
class Goals:
    """Of models of the real size."""

    query: float | None
    share: float | None


def run(size: Size, counts: tuple[int, int], parts: Sequence[str], console: Console) -> bool:
    """Measure and print; return whether every goal was reached.

    Args:
        size: of the large models.
        counts: passages to encode, and pairs to score.
        parts: of ``MEASURES``.
        console: prints.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # FlagEmbedding draws bars into the table
    products, machine = measured(), describe()
    exact = [layout for layout in LAYOUTS if products.of(layout).exact]
    limit = Limit(exact)
    console.print(
        f"CPU: {machine['cpu']}, {os.cpu_count()} cores; {', '.join(machine['instructions'])}\n"
        f"onnxruntime {machine['onnxruntime']}: {machine['why']}\n"
        f"one product of {' x '.join(map(str, LARGE))}: {2 * limit() / 1e9:,.0f} GOP/s with "
        f"{' and '.join(exact)} weights at best"
    )
    goals = Goals(None, None)
    if size.is_real:
        goals = Goals(QUERY_RATIO["signed" in exact], LEAST_SHARE)
    reached = True
    with tempfile.TemporaryDirectory() as place:
        for part in parts:
            rows = MEASURES[part](size, counts, goals, limit, Path(place))
            console.print(_table(rows, part, size if part != "mini" else MINI))
            reached &= not any(row.missed for row in rows)
            gc.collect()
        if "encoder" in parts:
            memory = float(_in_a_process("memory", Path(place) / "m3-onnx", counts[0]))
            console.print(
                "peak memory of a process that encodes a query and the passages: "
                f"{memory / 1e6:,.0f} MB (goal: under {MOST_MEMORY / 1e6:,.0f})"
            )
            reached &= not size.is_real or memory < MOST_MEMORY
    return reached


def _encoder(
    size: Size, counts: tuple[int, int], goals: Goals, limit: Limit, place: Path
) -> list[Work]:
    folder = build_tiny_m3(
        place / "m3",
        hidden_size=size.hidden_size,
        layers=size.layers,
        attention_heads=size.heads,
        vocabulary_size=VOCABULARY,
    )
    _in_a_process("export", folder, place / "m3-onnx")  # its memory goes with it
    encoder = OnnxEncoder(place / "m3-onnx", options=OnnxOptions(precision="int8"))
    models = Models(encoder, _flag(folder), _sentence_transformer(folder, "cls"), size)
    return _encoding(models, counts[0], goals, limit)


def _mini(
    size: Size,  # noqa: ARG001  # of the others
    counts: tuple[int, int],
    goals: Goals,  # noqa: ARG001  # the same
    limit: Limit,
    place: Path,  # noqa: ARG001  # the same
) -> list[Work]:
    folder = MiniFlagEncoder().folder
    encoder = MiniEncoder(OnnxOptions(precision="int8"))
    peers = _flag(folder, pooling_method="mean"), _sentence_transformer(folder, "mean")
    return _encoding(Models(encoder, *peers, MINI), counts[0], Goals(None, None), limit)


@dataclass(frozen=True)
class Models:
    """The same model in three libraries."""

    ours: OnnxEncoder
    flag: Any
    sentences: Any
    size: Size


def _encoding(models: Models, passages: int, goals: Goals, limit: Limit) -> list[Work]:
    encoder, flag, sentences = models.ours, models.flag, models.sentences
    encoder.load()

    def length(text: str) -> int:
        return len(encoder.tokenizer.encode(text).ids)

    texts, tokens = _texts(length, passages)
    heads = ("dense", "sparse")
    query = {"ours": lambda: encoder.encode_queries([QUERY], heads=heads)}
    dense = {"ours": lambda: encoder.encode_queries([QUERY], heads=("dense",))}
    one = f"one query of {length(QUERY)} tokens"
    what = f"{passages} passages of {tokens / passages:.0f} tokens"

    def corpus(batch_size: int) -> Callable[[], Any]:
        return lambda: flag.encode_corpus(
            texts, batch_size=batch_size, return_dense=True, return_sparse=True
        )

    asked = by_turns({**query, "flag": lambda: flag.encode_queries([QUERY], return_sparse=True)})
    asked_dense = by_turns({**dense, "st": lambda: sentences.encode([QUERY])})
    works = {
        f"{what}: BGEM3FlagModel, its default": corpus(256),
        f"{what}: BGEM3FlagModel, batch_size=16": corpus(16),
        f"{what}, dense only: sentence-transformers": lambda: sentences.encode(texts),
    }
    return [
        Work(f"{one}: BGEM3FlagModel", *asked.values(), least_ratio=goals.query),
        Work(f"{one}, dense only: sentence-transformers", *asked_dense.values()),
        *each_between(
            lambda: encoder.encode_documents(texts, heads=heads),
            works,
            Speed(models.size.multiplications * tokens, limit, goals.share),
        ),
    ]


def _reranker(
    size: Size, counts: tuple[int, int], goals: Goals, limit: Limit, place: Path
) -> list[Work]:
    from FlagEmbedding import FlagReranker as Theirs

    pairs = counts[1]
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
    query = len(peer.tokenizer(QUERY)["input_ids"])
    reranker.score(QUERY, texts[:1])
    peer.compute_score([(QUERY, texts[0])])
    what = f"1 query x {pairs} passages of {tokens / pairs:.0f} tokens: FlagReranker, its default"
    works = {what: lambda: peer.compute_score([(QUERY, text) for text in texts])}
    products = size.multiplications * (tokens + pairs * query)
    return each_between(
        lambda: reranker.score(QUERY, texts), works, Speed(products, limit, goals.share)
    )


MEASURES: dict[str, Callable[[Size, tuple[int, int], Goals, Limit, Path], list[Work]]] = {
    "encoder": _encoder,
    "reranker": _reranker,
    "mini": _mini,
}


def _flag(folder: Path, **settings: Any) -> Any:
    from FlagEmbedding import BGEM3FlagModel

    return BGEM3FlagModel(str(folder), use_fp16=False, devices="cpu", **settings)


def _sentence_transformer(folder: Path, pooling_mode: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(folder))
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode)
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
        texts, _ = _texts(lambda text: len(encoder.tokenizer.encode(text).ids), int(argument))
        encoder.encode_documents(texts)
        status = Path("/proc/self/status").read_text("ascii")
        (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        print(int(peak) * 1024)


def _table(rows: Sequence[Work], part: str, size: Size) -> Table:
    table = Table(title=f"{part} in int8, {size.layers} layers of {size.hidden_size}")
    for name in ("", "trivec ms", "theirs ms", "ratio", "goal", "of the limit", "goal"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        ours, theirs = (f"{seconds * 1000:,.1f}" for seconds in (row.ours, row.theirs))
        cells = (
            f"{row.ratio:.1f}x",
            f"{row.least_ratio:g}x" if row.least_ratio else "",
            "" if row.share is None else f"{row.share:.0%}",
            f"{row.least_share:.0%}" if row.least_share else "",
        )
        table.add_row(row.what, ours, theirs, *cells, style="red" if row.missed else None)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnx", description=__doc__)
    parser.add_argument("--layers", type=int, default=Size.layers)
    parser.add_argument("--hidden-size", type=int, default=Size.hidden_size)
    parser.add_argument("--heads", type=int, default=Size.heads)
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--do", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.do:
        what, folder, argument = options.do
        _do(what, Path(folder), argument)
        return 0
    size = Size(options.layers, options.hidden_size, options.heads)
    counts = options.passages, options.pairs
    return int(not run(size, counts, options.only, Console(width=130)))


if __name__ == "__main__":
    raise SystemExit(main())
