"""What int8 costs in quality, and how soon a search from the command line answers.

The model is ``mini``, exported here in fp32 and int8: the retrieval quality of every arm in both
and how near the vectors are, for each layout that is exact on this CPU, and ``trivec search`` over
an index from the start of its process.

    python -m benchmarks.onnx_quality [--data FOLDER]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from benchmarks.quality import DEFAULT, SHIPPED, VARIANTS, Corpus, evaluate, read_corpora
from rich.console import Console
from rich.table import Table

from trivec._models.onnx_choice import describe, measured
from trivec._models.onnx_measuring import LAYOUTS, Layout
from trivec.encoders import OnnxEncoder, OnnxOptions
from trivec.exporting import ExportOptions, export_encoder
from trivec.index import HybridIndex
from trivec.mini import MiniEncoder

__all__ = ["Agreement", "main", "run"]

ARMS = ("dense", "sparse", "colbert")
MOST_LOST = {**dict.fromkeys(ARMS, 0.004), DEFAULT: 0.002}
LEAST_COSINE = 0.998
LEAST_SHARED = 0.9
MOST_SECONDS = 2.5
COLD_STARTS = 5


@dataclass(frozen=True)
class Agreement:
    """Of int8 with fp32 on the passages and questions of a corpus."""

    cosine_mean: float
    cosine_least: float
    top10_shared: float

    @property
    def enough(self) -> bool:
        return self.cosine_mean >= LEAST_COSINE and self.top10_shared >= LEAST_SHARED


def run(data: Path, console: Console) -> bool:
    """Measure and print; return whether every goal was reached."""
    corpora = read_corpora(data)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "mini-onnx"
        options = ExportOptions(precisions=("fp32", "int8"))
        export_encoder(MiniEncoder(), folder, options=options)
        exact = OnnxEncoder(folder, options=OnnxOptions(precision="fp32"))
        reached = []
        for layout in _layouts(console):
            near = OnnxEncoder(folder, options=OnnxOptions(precision="int8", int8_weights=layout))
            encoders = {"fp32": exact, f"int8, {layout}": near}
            reached += [_quality(corpus, encoders, console) for corpus in corpora]
        seconds = _cold_start(corpora[0], folder, Path(place) / "kb")
    console.print(
        f"cold start: `trivec search` with int8 answers after {seconds:.2f} s "
        f"(goal: {MOST_SECONDS:g}), median of {COLD_STARTS}"
    )
    return all(reached) and seconds < MOST_SECONDS


def _layouts(console: Console) -> list[Layout]:
    """Return the layouts that this CPU multiplies exactly; the others are refused."""
    machine, products = describe(), measured()
    console.print(f"{machine['cpu']}, {', '.join(machine['instructions'])}: {machine['why']}\n")
    return [layout for layout in LAYOUTS if products.of(layout).exact]


def _quality(corpus: Corpus, encoders: Mapping[str, OnnxEncoder], console: Console) -> bool:
    variants = {name: VARIANTS[name] for name in (*ARMS, DEFAULT)}
    found = {
        precision: {row.variant: row.ndcg_at_10 for row in evaluate(corpus, encoder, variants)}
        for precision, encoder in encoders.items()
    }
    table = Table(title=f"{corpus.name}: nDCG@10")
    for name in ("", *encoders, "difference", "goal"):
        table.add_column(name, justify="right" if name else "left")
    reached = True
    for variant, allowed in MOST_LOST.items():
        exact, near = (found[precision][variant] for precision in encoders)
        missed = exact - near > allowed
        reached &= not missed
        cells = (f"{exact:.4f}", f"{near:.4f}", f"{near - exact:+.4f}", f"-{allowed:g}")
        table.add_row(variant, *cells, style="red" if missed else None)
    console.print(table)
    agreement = _agreement(corpus, encoders)
    console.print(
        f"dense cosine {agreement.cosine_mean:.4f}, at worst {agreement.cosine_least:.4f} (goal: "
        f"{LEAST_COSINE} on average); {agreement.top10_shared:.1%} of the ten heaviest tokens are "
        f"the same (goal: {LEAST_SHARED:.0%})\n"
    )
    return reached and agreement.enough


def _agreement(corpus: Corpus, encoders: Mapping[str, OnnxEncoder]) -> Agreement:
    texts = [chunk.text for chunk in corpus.chunks], list(corpus.questions.values())
    exact, near = (
        [
            *encoder.encode_documents(texts[0], heads=("dense", "sparse")),
            *encoder.encode_queries(texts[1], heads=("dense", "sparse")),
        ]
        for encoder in encoders.values()
    )
    cosines, shared = [], []
    for one, other in zip(exact, near, strict=True):
        cosines.append(float(one.dense @ other.dense))
        wanted = set(one.sparse.top(10).indices.tolist())
        same = wanted & set(other.sparse.top(10).indices.tolist())
        shared.append(len(same) / len(wanted) if wanted else 1.0)
    return Agreement(float(np.mean(cosines)), min(cosines), float(np.mean(shared)))


def _cold_start(corpus: Corpus, folder: Path, kb: Path) -> float:
    """Return the median seconds of a whole process that searches once."""
    encoder = OnnxEncoder(folder, options=OnnxOptions(precision="int8"))
    with HybridIndex.open(kb, encoder) as index:
        index.add(corpus.chunks)
        index.optimize()
    question = next(iter(corpus.questions.values()))
    program = Path(sys.executable).with_name("trivec")
    command = [str(program), "search", str(kb), question, "-k", "3"]
    times = []
    for _ in range(COLD_STARTS + 1):
        start = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(perf_counter() - start)
    return median(times[1:])  # the first one fills the disk's cache and the digests'


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnx_quality", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHIPPED, help="folder of SQuAD-shaped files")
    options = parser.parse_args(arguments)
    return int(not run(options.data, Console(width=100)))


if __name__ == "__main__":
    raise SystemExit(main())
