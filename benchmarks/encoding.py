"""Time of encoding against FlagEmbedding's ``BGEM3FlagModel``: same folder, fp32 on the CPU.

Runs of the two are interleaved and medians compared, because a machine's speed drifts. Passages are
also compared with FlagEmbedding at 32 texts a batch: at its default of 256 it runs all of them
twice, as it does with every first batch.

    python -m benchmarks.encoding [--model NAME_OR_FOLDER] [--passages 200]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from trivec.encoders import FlagEncoder
from trivec.encoders.postprocess import sparse_vectors
from trivec.loading import load_encoder
from trivec.types import FloatArray, Head, SparseVector

__all__ = ["Comparison", "main", "run"]

SHIPPED = Path(__file__).parent / "data"
HEADS: tuple[Head, ...] = ("dense", "sparse")
QUERY_ROUNDS = 31
PASSAGE_ROUNDS = 2  # minutes each, and far from the goal
POSTPROCESSING_ROUNDS = 31
POSTPROCESSING_REPEATS = 10  # a call takes a tenth of a millisecond


@dataclass(frozen=True)
class Comparison:
    """Median seconds of trivec and of FlagEmbedding for the same work.

    ``goal`` is the least ratio; below it, something broke.
    """

    what: str
    ours: float
    theirs: float
    goal: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def run(model: str = "mini", passages: int = 200) -> list[Comparison]:
    os.environ.setdefault("TQDM_DISABLE", "1")  # FlagEmbedding draws bars into the table
    encoder = load_encoder(model, backend="flag")
    encoder.load()
    peer = _peer(encoder)
    questions, paragraphs = _texts(passages)
    return [
        _one_query(encoder, peer, questions),
        *_many_passages(encoder, peer, paragraphs),
        _postprocessing(peer),
    ]


def _peer(encoder: FlagEncoder) -> Any:
    from FlagEmbedding import BGEM3FlagModel

    options = encoder.options
    return BGEM3FlagModel(
        str(encoder.folder),
        use_fp16=False,
        devices="cpu",
        pooling_method=options.pooling,
        query_instruction_for_retrieval=options.query_instruction or None,
        passage_instruction_for_retrieval=options.passage_instruction or None,
        passage_max_length=options.passage_max_length,
    )


def _texts(passages: int) -> tuple[list[str], list[str]]:
    """Return English and Chinese questions and paragraphs by turns, from the data that ships."""
    questions, paragraphs = [], []
    for name in ("xquad.en.json", "xquad.zh.json"):
        data = json.loads((SHIPPED / name).read_text("utf-8"))["data"]
        found = [paragraph for article in data for paragraph in article["paragraphs"]]
        paragraphs.append([paragraph["context"] for paragraph in found])
        questions.append([paragraph["qas"][0]["question"] for paragraph in found])
    mixed = [text for pair in zip(*paragraphs, strict=True) for text in pair]
    asked = [text for pair in zip(*questions, strict=True) for text in pair]
    return asked, mixed[:passages]


def _one_query(encoder: FlagEncoder, peer: Any, questions: Sequence[str]) -> Comparison:
    times = _interleaved(
        {
            "ours": lambda question: encoder.encode_queries([question], heads=HEADS),
            "theirs": lambda question: peer.encode_queries(
                [question], return_dense=True, return_sparse=True
            ),
        },
        questions[:QUERY_ROUNDS],
        warm_up=questions[-1],
    )
    return Comparison("one query", times["ours"], times["theirs"], goal=1.9)


def _many_passages(encoder: FlagEncoder, peer: Any, passages: Sequence[str]) -> list[Comparison]:
    def theirs(batch_size: int) -> Callable[[Sequence[str]], Any]:
        return lambda texts: peer.encode_corpus(
            texts, batch_size=batch_size, return_dense=True, return_sparse=True
        )

    times = _interleaved(
        {
            "ours": lambda texts: encoder.encode_documents(texts, heads=HEADS),
            "default": theirs(256),
            "by 32": theirs(32),
        },
        [list(passages)] * PASSAGE_ROUNDS,
        warm_up=list(passages[:2]),
    )
    what = f"{len(passages)} passages"
    return [
        Comparison(f"{what}, their default batch", times["ours"], times["default"], goal=1.1),
        Comparison(f"{what}, their batch of 32", times["ours"], times["by 32"], goal=1.1),
    ]


def _interleaved(
    works: Mapping[str, Callable[[Any], Any]], inputs: Sequence[Any], warm_up: Any
) -> dict[str, float]:
    """Return the median seconds of each work, run by turns over the inputs after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(warm_up)
    for each in inputs:
        for name, work in works.items():
            started = perf_counter()
            work(each)
            times[name].append(perf_counter() - started)
    return {name: median(values) for name, values in times.items()}


def _postprocessing(peer: Any) -> Comparison:
    """Compare the way from token weights to sparse vectors on one padded batch, 32 x 512."""
    random = np.random.default_rng(0)
    lengths = random.integers(100, 513, 32)
    real = np.arange(512) < lengths[:, None]
    ids = np.where(real, random.integers(4, 20_000, real.shape), peer.tokenizer.pad_token_id)
    weights = np.maximum(random.normal(size=real.shape), 0).astype(np.float32)
    specials = ("cls", "eos", "pad", "unk")
    unused = np.array([getattr(peer.tokenizer, f"{kind}_token_id") for kind in specials])
    process = _their_postprocessing(peer)

    def ours(weights: FloatArray) -> list[SparseVector]:
        return sparse_vectors(ids[real], weights[real], lengths, unused)

    def theirs(weights: FloatArray) -> list[dict[str, float]]:
        # as in encode_single_device: rows of weights, lists of ids
        return list(map(process, weights, ids.tolist()))

    expected = [{int(token): float(w) for token, w in each.items()} for each in theirs(weights)]
    if [vector.to_mapping() for vector in ours(weights)] != expected:
        raise RuntimeError("the two post-processings disagree; their times say nothing")

    def repeated(work: Callable[[FloatArray], Any]) -> Callable[[FloatArray], None]:
        def repeat(weights: FloatArray) -> None:
            for _ in range(POSTPROCESSING_REPEATS):
                work(weights)

        return repeat

    times = _interleaved(
        {"ours": repeated(ours), "theirs": repeated(theirs)},
        [weights] * POSTPROCESSING_ROUNDS,
        warm_up=weights,
    )
    times = {name: seconds / POSTPROCESSING_REPEATS for name, seconds in times.items()}
    return Comparison("sparse post-processing", times["ours"], times["theirs"], goal=20)


def _their_postprocessing(peer: Any) -> Callable[[Any, list[int]], dict[str, float]]:
    """Take FlagEmbedding's function out of the method that it is written into."""
    method = type(peer).encode_single_device.__wrapped__
    (code,) = [
        constant
        for constant in method.__code__.co_consts
        if isinstance(constant, CodeType) and constant.co_name == "_process_token_weights"
    ]
    return FunctionType(code, method.__globals__, closure=(CellType(peer),))


def _table(rows: Sequence[Comparison]) -> Table:
    table = Table(title="Encoding, fp32 on the CPU, against FlagEmbedding on the same folder")
    for name in ("", "trivec ms", "FlagEmbedding ms", "ratio", "goal"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        style = None if row.ratio >= row.goal else "red"
        ours, theirs = (f"{seconds * 1000:,.1f}" for seconds in (row.ours, row.theirs))
        table.add_row(row.what, ours, theirs, f"{row.ratio:.1f}x", f"{row.goal:g}x", style=style)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--passages", type=int, default=200)
    options = parser.parse_args(arguments)
    rows = run(options.model, options.passages)
    Console().print(_table(rows))
    return int(any(row.ratio < row.goal for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
