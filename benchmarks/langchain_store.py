"""The same LangChain job on ``TrivecVectorStore`` and on langchain-qdrant's ``QdrantVectorStore``.

    python -m benchmarks.langchain_store [--points 10000] [--queries 30]

Both stores get the same documents and, from a look-up table instead of a model, the same dense
vectors of 1,024 dims and the same sparse ones of about 120 non-zeros. Each stands where its
LangChain user without a server puts it: in a folder (trivec's embedded engine), and in
``QdrantClient(":memory:")``. ``similarity_search`` fuses 10 candidates of each arm by reciprocal
rank with Qdrant's constant on both sides; trivec's own default, 100 candidates fused by
distribution, is measured besides.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.storage import NON_ZEROS, Vectors, vectors
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from rich.console import Console
from rich.table import Table

from langchain_trivec import TrivecVectorStore
from trivec import Encoding, IndexConfig
from trivec.types import EncoderInfo, Head

__all__ = ["Lookup", "Timing", "main", "measure", "overlap"]

K = 10
BATCH = 256
GOAL = 50.0
SAME_FUSION = {"fusion": "rrf", "rrf_k": 2, "prefetch_k": K}


@dataclass(frozen=True)
class Timing:
    """Seconds of the whole ingest, of each query, and the ids that each query found."""

    ingest: float
    queries: tuple[float, ...]
    found: tuple[tuple[str, ...], ...]

    @property
    def query(self) -> float:
        return statistics.median(self.queries)


class Lookup:
    """An encoder whose vectors were made before: the number that a text ends with is the row."""

    def __init__(self, documents: Vectors, queries: Vectors) -> None:
        self._documents = documents
        self._queries = queries
        dim = documents[0].shape[1]
        self.info = EncoderInfo("lookup", "0" * 64, dim, heads=("dense", "sparse"))

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ("dense", "sparse")
    ) -> list[Encoding]:
        return [_row(self._documents, text, heads) for text in texts]

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ("dense", "sparse")
    ) -> list[Encoding]:
        return [_row(self._queries, text, heads) for text in texts]

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        return [str(index) for index in ids]


def _row(table: Vectors, text: str, heads: Sequence[Head]) -> Encoding:
    dense, sparse = table
    row = int(text.rpartition(" ")[2])
    return Encoding(
        dense=dense[row] if "dense" in heads else None,
        sparse=sparse[row] if "sparse" in heads else None,
    )


class LookupEmbeddings(Embeddings):
    """The table as langchain-qdrant takes it: lists, made before the clock runs."""

    def __init__(self, documents: Vectors, queries: Vectors) -> None:
        self._documents = documents[0].tolist()
        self._queries = queries[0].tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._documents[int(text.rpartition(" ")[2])] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        row: list[float] = self._queries[int(text.rpartition(" ")[2])]
        return row


def documents(count: int) -> list[Document]:
    return [
        Document(id=f"00000000-0000-4000-8000-{row:012d}", page_content=f"document {row}")
        for row in range(count)
    ]


@contextlib.contextmanager
def trivec_store(stored: Vectors, asked: Vectors) -> Iterator[TrivecVectorStore]:
    config = IndexConfig(codec="langchain", arms=("dense", "sparse"), batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        store = TrivecVectorStore.open(Path(folder) / "kb", Lookup(stored, asked), config=config)
        with store.index:
            yield store


def lookup_sparse(stored: Vectors, asked: Vectors) -> Any:
    """Return the table's sparse half as langchain-qdrant takes it."""
    from langchain_qdrant import SparseEmbeddings, SparseVector

    def listed(table: Vectors) -> list[SparseVector]:
        return [
            SparseVector(indices=row.indices.tolist(), values=row.values.tolist())
            for row in table[1]
        ]

    class LookupSparse(SparseEmbeddings):
        def __init__(self) -> None:
            self._documents, self._queries = listed(stored), listed(asked)

        def embed_documents(self, texts: list[str]) -> list[SparseVector]:
            return [self._documents[int(text.rpartition(" ")[2])] for text in texts]

        def embed_query(self, text: str) -> SparseVector:
            return self._queries[int(text.rpartition(" ")[2])]

    return LookupSparse()


@contextlib.contextmanager
def langchain_qdrant_store(stored: Vectors, asked: Vectors) -> Iterator[VectorStore]:
    from langchain_qdrant import QdrantVectorStore, RetrievalMode
    from qdrant_client import QdrantClient, models

    with contextlib.closing(QdrantClient(":memory:")) as client:
        size = stored[0].shape[1]
        client.create_collection(
            "kb",
            vectors_config=models.VectorParams(size=size, distance=models.Distance.COSINE),
            sparse_vectors_config={"langchain-sparse": models.SparseVectorParams()},
        )
        yield QdrantVectorStore(
            client,
            "kb",
            LookupEmbeddings(stored, asked),
            RetrievalMode.HYBRID,
            sparse_embedding=lookup_sparse(stored, asked),
            validate_embeddings=False,
            validate_collection_config=False,
        )


def seconds_of(action: Callable[[], Any]) -> tuple[float, Any]:
    begun = perf_counter()
    result = action()
    return perf_counter() - begun, result


def time_queries(store: VectorStore, count: int, **arguments: Any) -> Timing:
    """Ask every query once, the first one more beforehand."""
    store.similarity_search("query 0", k=K, **arguments)
    times, found = [], []
    for row in range(count):
        seconds, hits = seconds_of(
            lambda row=row: store.similarity_search(f"query {row}", k=K, **arguments)
        )
        times.append(seconds)
        # langchain-qdrant hides the id in the metadata
        found.append(tuple(str(hit.id or hit.metadata["_id"]) for hit in hits))
    return Timing(0.0, tuple(times), tuple(found))


def measure(points: int, queries: int) -> dict[str, Timing]:
    """Return the timings of both stores, and of trivec's default search, by name."""
    stored, asked = vectors(points, NON_ZEROS, seed=0), vectors(queries, 12, seed=1)
    texts = documents(points)
    timings = {}
    with trivec_store(stored, asked) as ours:
        ingest, _ = seconds_of(lambda: ours.add_documents(texts))
        same = time_queries(ours, queries, **SAME_FUSION)
        timings["trivec"] = Timing(ingest, same.queries, same.found)
        timings["trivec, its defaults"] = time_queries(ours, queries)
    with langchain_qdrant_store(stored, asked) as theirs:
        ingest, _ = seconds_of(lambda: theirs.add_documents(texts, batch_size=BATCH))
        same = time_queries(theirs, queries)
        timings["langchain-qdrant"] = Timing(ingest, same.queries, same.found)
    return timings


def overlap(left: Timing, right: Timing) -> float:
    """Return the mean share of results that two have in common."""
    pairs = zip(left.found, right.found, strict=True)
    return statistics.mean(len({*one} & {*other}) / max(1, len(one)) for one, other in pairs)


def report(timings: dict[str, Timing], points: int, console: Console) -> None:
    ours, theirs = timings["trivec"], timings["langchain-qdrant"]
    table = Table(title=f"LangChain vector stores, {points:,} documents, equal vectors")
    table.add_column("")
    for name in ("TrivecVectorStore", "QdrantVectorStore", "ratio", "goal"):
        table.add_column(name, justify="right")
    for name, mine, other, unit, goal in (
        ("ingest", ours.ingest, theirs.ingest, 1.0, ""),
        ("hybrid query", ours.query, theirs.query, 1e3, f"{GOAL:.0f}x"),
        ("trivec's default query", timings["trivec, its defaults"].query, theirs.query, 1e3, ""),
    ):
        label = f"{name}, {'s' if unit == 1.0 else 'ms'}"
        cells = (f"{mine * unit:.2f}", f"{other * unit:.2f}", f"{other / mine:.1f}x", goal)
        table.add_row(label, *cells)
    console.print(table)
    console.print(f"results in common: {overlap(ours, theirs):.0%}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and fail where the goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=30)
    options = parser.parse_args(arguments)
    # what its users see, and know: this is the mode that is compared
    warnings.filterwarnings("ignore", "Local mode is not recommended", UserWarning)
    timings = measure(options.points, options.queries)
    console = Console(width=100)
    report(timings, options.points, console)
    ratio = timings["langchain-qdrant"].query / timings["trivec"].query
    if ratio < GOAL:
        console.print(f"goal missed: {ratio:.1f}x on a query, goal {GOAL:.0f}x")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
