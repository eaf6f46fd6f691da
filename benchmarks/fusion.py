"""How the defaults of fusion were chosen: many ways of fusing, on text that is not reported.

Reads the folder of training files that ``scripts/train_mini_heads.py`` reads, and takes what the
sparse head of ``mini`` was not trained on: 400 and 500 paragraphs of DRCD (dev, test) and 300
abstracts of Cranfield, their titles as queries. CMRC's paragraphs were all trained on; they are
measured too, and left out of the mean.

    python -m benchmarks.fusion --data FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from benchmarks.quality import Corpus, Measurement, evaluate
from rich.console import Console
from rich.table import Table
from scripts.train_mini_heads import Collection, read_cranfield, read_squad, select

from trivec import Chunk, SearchOptions, load_encoder

__all__ = ["main", "read_collections", "variants"]

QUERIES = 500
TRAINED_ON = "cmrc"


def variants() -> Mapping[str, SearchOptions]:
    """Return what is compared."""
    found = {arm: SearchOptions(arms=(arm,)) for arm in ("dense", "sparse", "bm25", "colbert")}
    for k in (61, 11, 5, 2):
        found[f"rrf, k={k}"] = SearchOptions(fusion="rrf", rrf_k=k)
    for depth in (20, 50, 100, 200):
        found[f"dbsf, {depth} candidates"] = SearchOptions(prefetch_k=depth)
    for sparse in (0.0, 0.05, 0.1, 0.3):
        for bm25 in (0.01, 0.02, 0.03, 0.05):
            arms = {"dense": 1.0, "sparse": sparse, "bm25": bm25}
            found[f"linear 1 / {sparse:g} / {bm25:g}"] = SearchOptions(fusion="linear", arms=arms)
    found["colbert rescores"] = SearchOptions(colbert="rescore")
    found["dbsf, colbert fused"] = SearchOptions(colbert="fuse")
    found["rrf, k=2, colbert fused"] = SearchOptions(fusion="rrf", colbert="fuse")
    found["bm25, colbert fused, dbsf"] = SearchOptions(arms=("bm25",), colbert="fuse")
    for sparse, bm25 in ((0.1, 0.02), (0.1, 0.03), (0.3, 0.03), (0.0, 0.01), (0.0, 0.02)):
        arms = {"dense": 1.0, "sparse": sparse, "bm25": bm25}
        found[f"linear 1 / {sparse:g} / {bm25:g}, colbert fused"] = SearchOptions(
            fusion="linear", arms=arms, colbert="fuse"
        )
    return found


def read_collections(data: Path) -> list[Corpus]:
    """Return the parts that are compared on."""
    dev = read_squad(data / "drcd_dev.json", "drcd_dev")
    test = read_squad(data / "drcd_test.json", "drcd_test")
    cranfield = read_cranfield(data / "cran.all.1400")
    last = len(cranfield.passages)
    return [
        _corpus(read_squad(data / "cmrc_trial.json", TRAINED_ON)),
        _corpus(select(dev, range(600, 1000))),
        _corpus(select(test, range(200, 700))),
        _corpus(select(cranfield, range(last - 300, last))),
    ]


def _corpus(collection: Collection) -> Corpus:
    chunks = tuple(Chunk(text, id=f"p{n}") for n, text in enumerate(collection.passages))
    pairs = [pair for pair in zip(collection.queries, collection.relevant, strict=True) if pair[0]]
    chosen = Random(0).sample(pairs, min(QUERIES, len(pairs)))  # noqa: S311  # no secret
    questions = {f"q{n}": question for n, (question, _) in enumerate(chosen)}
    answers = {f"q{n}": f"p{passage}" for n, (_, passage) in enumerate(chosen)}
    return Corpus(collection.name, chunks, questions, answers)


def report(rows: Sequence[Measurement], console: Console) -> None:
    """Print nDCG@10 (recall@1) of every variant, and the mean over what was not trained on."""
    corpora = list(dict.fromkeys(row.corpus for row in rows))
    by_key = {(row.corpus, row.variant): row for row in rows}
    table = Table(title="Fusion: nDCG@10 (recall@1)")
    for name in ("", *corpora, f"mean without {TRAINED_ON}"):
        table.add_column(name, justify="right" if name else "left")
    for variant in dict.fromkeys(row.variant for row in rows):
        found = [by_key[corpus, variant] for corpus in corpora]
        counted = [row.ndcg_at_10 for row in found if row.corpus != TRAINED_ON]
        cells = [f"{row.ndcg_at_10:.4f} ({row.recall_at_1:.3f})" for row in found]
        table.add_row(variant, *cells, f"{sum(counted) / len(counted):.4f}")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.fusion")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training files")
    parser.add_argument("--model", default="mini", help="name, folder or hub id of the encoder")
    options = parser.parse_args(arguments)
    encoder = load_encoder(options.model)
    rows = [
        row
        for corpus in read_collections(options.data)
        for row in evaluate(corpus, encoder, variants())
    ]
    report(rows, Console(width=120))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
