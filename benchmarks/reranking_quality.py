"""What reranking does to the order of the default hybrid search: nDCG@10 before and after.

The first 20 hits of every XQuAD question are scored by each reranker that ``mini`` gives. Twice
the relevance differs: a question's own paragraph alone, or graded, its own paragraph 2 and the
others of the same article 1, so that a query has several relevant passages.

    python -m benchmarks.reranking_quality [--questions 0]

No weights of a real cross-encoder can be had offline; its speed is in ``benchmarks.reranking``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from trivec import Chunk, Hit, HybridIndex
from trivec.encoders import MemoEncoder
from trivec.mini import MiniEncoder, MiniReranker
from trivec.mini.reranker import RETRIEVAL_WEIGHT
from trivec.mini.states import MiniStates
from trivec.protocols import Reranker
from trivec.rerankers import MaxSimReranker, RankingOptions, rank
from trivec.types import ALL_HEADS, FloatArray

__all__ = ["Corpus", "Row", "main", "missed_goals", "read_corpus", "run"]

SHIPPED = Path(__file__).parent / "data"
CORPORA = ("xquad.zh", "xquad.en")
CANDIDATES = 20
WISHED = 0.985
BEFORE, MIXED = "default hybrid", "mini, mixed with the hybrid"


@dataclass(frozen=True)
class Corpus:
    """Paragraphs, questions, and how relevant each paragraph is to each question."""

    name: str
    chunks: tuple[Chunk, ...]
    questions: Mapping[str, str]
    own: Mapping[str, Mapping[str, int]]
    graded: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Row:
    """nDCG@10 of one order on one corpus."""

    corpus: str
    order: str
    own: float
    graded: float


class RememberedStates:
    """Token states of passages that are kept: a paragraph is found by many questions."""

    def __init__(self, states: MiniStates) -> None:
        self._states = states
        self._known: dict[str, FloatArray] = {}

    def of_query(self, text: str) -> FloatArray:
        return self._states.of_query(text)

    def of_passages(self, texts: Sequence[str]) -> list[FloatArray]:
        new = [text for text in texts if text not in self._known]
        self._known.update(zip(new, self._states.of_passages(new), strict=True) if new else ())
        return [self._known[text] for text in texts]


class Once:
    """A reranker whose scores are kept, since two orders are made of them."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self._known: dict[tuple[str, ...], list[float]] = {}

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        key = query, *passages
        if key not in self._known:
            self._known[key] = self._reranker.score(query, passages)
        return self._known[key]


def read_corpus(path: Path, questions: int = 0) -> Corpus:
    """Read a SQuAD-shaped file; so many of its questions, drawn with a fixed seed, or all for 0."""
    chunks: list[Chunk] = []
    asked: dict[str, tuple[str, str, list[str]]] = {}
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        ids = [f"p{len(chunks) + row}" for row in range(len(article["paragraphs"]))]
        for identity, paragraph in zip(ids, article["paragraphs"], strict=True):
            chunks.append(Chunk(paragraph["context"], id=identity))
            for one in paragraph["qas"]:
                asked[f"q{len(asked)}"] = one["question"], identity, ids
    chosen = sorted(asked)
    if questions:
        chosen = sorted(Random(0).sample(chosen, min(questions, len(chosen))))  # noqa: S311
    return Corpus(
        path.stem,
        tuple(chunks),
        {key: asked[key][0] for key in chosen},
        {key: {asked[key][1]: 1} for key in chosen},
        {key: {each: 1 + (each == asked[key][1]) for each in asked[key][2]} for key in chosen},
    )


Order = Callable[[str, Sequence[Hit]], list[str]]


def _reranked(reranker: Reranker, options: RankingOptions) -> Order:
    def order(question: str, hits: Sequence[Hit]) -> list[str]:
        ranked = rank(
            reranker,
            question,
            [hit.chunk.text for hit in hits],
            options,
            retrieved=[hit.score for hit in hits],
        )
        return [hits[one.position].id for one in ranked]

    return order


def run(data: Path = SHIPPED, questions: int = 0) -> list[Row]:
    """Measure every order on every corpus of :data:`CORPORA`."""
    encoder = MiniEncoder()
    mini = Once(MiniReranker(states=RememberedStates(MiniStates(encoder))))
    rows = []
    for name in CORPORA:
        corpus = read_corpus(data / f"{name}.json", questions)
        size = len(corpus.chunks) + len(corpus.questions)
        memo = MemoEncoder(encoder, heads=ALL_HEADS, size=size)
        hits = _search(corpus, memo)
        maxsim = Once(MaxSimReranker(memo))
        orders: dict[str, Order] = {
            BEFORE: lambda _, hits: [hit.id for hit in hits],
            "MaxSim": _reranked(maxsim, RankingOptions()),
            "MaxSim, mixed with the hybrid": _reranked(
                maxsim, RankingOptions(retrieval_weight=RETRIEVAL_WEIGHT)
            ),
            "mini": _reranked(mini, RankingOptions()),
            MIXED: _reranked(mini, RankingOptions(retrieval_weight=RETRIEVAL_WEIGHT)),
        }
        rows += [_measure(corpus, label, order, hits) for label, order in orders.items()]
    return rows


def _search(corpus: Corpus, memo: MemoEncoder) -> Mapping[str, Sequence[Hit]]:
    texts = list(corpus.questions.values())
    memo.encode_queries(texts)
    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", memo) as index,
    ):
        index.add(corpus.chunks)
        index.optimize()
        found = index.search_batch(texts, k=CANDIDATES)
    return dict(zip(corpus.questions, found, strict=True))


def _measure(corpus: Corpus, label: str, order: Order, hits: Mapping[str, Sequence[Hit]]) -> Row:
    import ir_measures

    ndcg = ir_measures.nDCG @ 10
    run = {
        key: {each: float(-place) for place, each in enumerate(order(question, hits[key]))}
        for key, question in corpus.questions.items()
    }
    own, graded = (
        ir_measures.calc_aggregate([ndcg], relevant, run)[ndcg]
        for relevant in (corpus.own, corpus.graded)
    )
    return Row(corpus.name, label, own, graded)


def missed_goals(rows: Sequence[Row]) -> list[str]:
    """Say where the mixed order does not beat the order before it."""
    before = {row.corpus: row.own for row in rows if row.order == BEFORE}
    return [
        f"{row.corpus}, {row.order}: nDCG@10 {row.own:.4f}, before {before[row.corpus]:.4f}"
        for row in rows
        if row.order == MIXED and row.own <= before[row.corpus]
    ]


def report(rows: Sequence[Row], console: Console) -> None:
    """Print one table: a row for each order, two columns for each corpus."""
    corpora = list(dict.fromkeys(row.corpus for row in rows))
    by_key = {(row.corpus, row.order): row for row in rows}
    table = Table(title=f"Reranking the first {CANDIDATES} hits: nDCG@10, wished {WISHED:g}")
    table.add_column("order")
    for corpus in corpora:
        table.add_column(f"{corpus}\nown", justify="right")
        table.add_column("\ngraded", justify="right")
    for order in dict.fromkeys(row.order for row in rows):
        cells = []
        for corpus in corpora:
            row = by_key[corpus, order]
            cells += [f"{row.own:.4f}", f"{row.graded:.4f}"]
        table.add_row(order, *cells)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, prog="python -m benchmarks.reranking_quality"
    )
    parser.add_argument("--questions", type=int, default=0, help="of each corpus; 0 is all")
    options = parser.parse_args(arguments)
    rows = run(questions=options.questions)
    console = Console(width=100)
    report(rows, console)
    missed = missed_goals(rows)
    for line in missed:
        console.print(f"[red]missed[/red] {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
