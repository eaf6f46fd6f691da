"""Late chunking against plain chunking, where a passage alone does not say what it is about.

An article's paragraphs are one document, split into passages of at most 48 tokens, a sentence or
two: most of them speak of their subject as "it" or leave it out. A question's relevant passage is
the one that its answer begins in. Both ways go through ``HybridIndex`` on the embedded engine;
recall@5 for each arm.

    python -m benchmarks.late_chunking [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality import SHIPPED, Corpus
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions, load_encoder
from trivec.encoders import MemoEncoder
from trivec.protocols import Encoder
from trivec.text import split
from trivec.types import ALL_HEADS

__all__ = ["Recall", "main", "read_passages", "run"]

FILES = ("drcd.sample.json", "xquad.en.json")
K = 5
PASSAGE_TOKENS = 48
VARIANTS = {
    "dense": SearchOptions(arms=("dense",)),
    "sparse": SearchOptions(arms=("sparse",)),
    "bm25": SearchOptions(arms=("bm25",)),
    "colbert": SearchOptions(arms=("colbert",)),
    "default hybrid": SearchOptions(),
    "default hybrid, ColBERT fused": SearchOptions(colbert="fuse"),
}


@dataclass(frozen=True)
class Recall:
    """recall@5 of one way of searching over passages that were encoded in one way."""

    corpus: str
    variant: str
    late: bool
    value: float


def read_passages(path: Path, tokenizer: Tokenizer) -> Corpus:
    """Read SQuAD-shaped JSON into short passages, each article one source."""
    chunks: list[Chunk] = []
    questions: dict[str, str] = {}
    answers: dict[str, str] = {}
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        position = 0
        for paragraph in article["paragraphs"]:
            starts: list[int] = []
            for span in split(paragraph["context"], tokenizer, max_tokens=PASSAGE_TOKENS):
                starts.append(span.start)
                identity = f"{article['title']}/{position}"
                source = f"{article['title']}.txt"
                chunks.append(Chunk(span.text, identity, source=source, position=position))
                position += 1
            for asked in paragraph["qas"]:
                begin = asked["answers"][0]["answer_start"]
                place = sum(start <= begin for start in starts) - 1
                number = f"q{len(questions)}"
                questions[number] = asked["question"]
                answers[number] = str(chunks[len(chunks) - len(starts) + max(place, 0)].id)
    return Corpus(path.stem, tuple(chunks), questions, answers)


def run(encoder: Encoder, corpus: Corpus) -> list[Recall]:
    """Measure every variant with plain and with late chunking."""
    found = []
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    texts = list(corpus.questions.values())
    for late in (False, True):
        with (
            tempfile.TemporaryDirectory() as folder,
            HybridIndex.open(Path(folder) / "kb", encoder, config=config) as index,
        ):
            index.add(corpus.chunks, late_chunking=late)
            index.optimize()
            for variant, options in VARIANTS.items():
                results = index.search_batch(texts, k=K, options=options)
                right = sum(
                    corpus.answers[question] in {hit.id for hit in hits}
                    for question, hits in zip(corpus.questions, results, strict=True)
                )
                found.append(Recall(corpus.name, variant, late, right / len(texts)))
    return found


def report(rows: Sequence[Recall], console: Console) -> None:
    """Print one table: for each corpus plain, late, and the difference."""
    corpora = list(dict.fromkeys(row.corpus for row in rows))
    by_key = {(row.corpus, row.variant, row.late): row.value for row in rows}
    table = Table(title=f"Short passages of whole articles: recall@{K}, plain and late chunking")
    table.add_column("variant")
    for corpus in corpora:
        for name in (f"{corpus}\nplain", "\nlate", "\n"):
            table.add_column(name, justify="right")
    for variant in VARIANTS:
        cells = []
        for corpus in corpora:
            plain, late = by_key[corpus, variant, False], by_key[corpus, variant, True]
            cells += [f"{plain:.3f}", f"{late:.3f}", f"{late - plain:+.3f}"]
        table.add_row(variant, *cells)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.late_chunking")
    parser.add_argument("--model", default="mini", help="name, folder or hub id of the encoder")
    options = parser.parse_args(arguments)
    encoder = load_encoder(options.model)
    rows = []
    for name in FILES:
        corpus = read_passages(SHIPPED / name, encoder.tokenizer)
        # every question once, for all variants of both ways
        memo = MemoEncoder(encoder, heads=ALL_HEADS, size=len(corpus.questions))
        memo.encode_queries(list(corpus.questions.values()))
        rows += run(memo, corpus)
    report(rows, Console(width=100))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
