"""The client's own time: trivec over a Qdrant that answers at once, in another process.

    python -m benchmarks.client [--searches 100] [--points 4000]

CPU seconds of this process, by REST and gRPC. A search is compared with the bare requests: the same
bytes sent again by httpx or grpcio, the answers read and not parsed. Adding is compared with
langchain-qdrant's ``QdrantVectorStore``. All vectors are ready: 1,024 dims, about 120 non-zeros, 32
ColBERT rows a query and 64 a passage. All sides take turns; the median round counts.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter, process_time
from typing import Any

import httpx
import numpy as np
from benchmarks._answering import Ports, answering
from benchmarks.langchain_store import SAME_FUSION, Lookup, documents
from benchmarks.storage import DIM, NON_ZEROS, Vectors, vectors
from grpc import insecure_channel
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from qdrant_client import QdrantClient, models
from rich.console import Console
from rich.table import Table

from langchain_trivec import TrivecVectorStore
from trivec import Encoding, HybridIndex, IndexConfig
from trivec.types import FloatArray, Head

__all__ = ["Adding", "Search", "main", "measure"]

K = 10
BATCH = 256
QUERY_ROWS, PASSAGE_ROWS = 32, 64
ROUNDS = 5
SEARCH_GOALS = {"default": 1.0, "ColBERT": 2.0}  # ms over the bare request
ADD_GOAL = 1.5
LONGEST = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Search:
    """CPU milliseconds of one search, and of the bare requests that it sends."""

    what: str
    ours: float
    bare: float
    goal: float | None = None

    @property
    def over(self) -> float:
        return self.ours - self.bare

    @property
    def missed(self) -> bool:
        return self.goal is not None and self.over > self.goal


@dataclass(frozen=True)
class Adding:
    """CPU and wall milliseconds of a thousand documents, on both sides."""

    what: str
    ours: tuple[float, float]
    theirs: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None else self.theirs[0] / self.ours[0]

    @property
    def missed(self) -> bool:
        return self.ratio is not None and self.ratio < ADD_GOAL


class ColbertLookup(Lookup):
    """The table, with the same rows of ColBERT for every text."""

    def __init__(self, stored: Vectors, asked: Vectors) -> None:
        super().__init__(stored, asked)
        self.info = replace(self.info, colbert_dim=DIM, heads=("dense", "sparse", "colbert"))
        rows = np.random.default_rng(2).standard_normal((PASSAGE_ROWS, DIM), dtype=np.float32)
        self._rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ("dense", "sparse")
    ) -> list[Encoding]:
        return self._with(super().encode_documents(texts, heads=heads), heads, PASSAGE_ROWS)

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ("dense", "sparse")
    ) -> list[Encoding]:
        return self._with(super().encode_queries(texts, heads=heads), heads, QUERY_ROWS)

    def _with(self, encodings: list[Encoding], heads: Sequence[Head], count: int) -> list[Encoding]:
        rows: FloatArray | None = self._rows[:count] if "colbert" in heads else None
        return [replace(encoding, colbert=rows) for encoding in encodings]


def connect(ports: Ports, *, grpc: bool) -> QdrantClient:
    rest_port, grpc_port = ports
    return QdrantClient(
        host="127.0.0.1",
        port=rest_port,
        grpc_port=grpc_port,
        prefer_grpc=grpc,
        https=False,
        check_compatibility=False,
        timeout=60,
        limits=httpx.Limits(max_connections=8),  # else connections to the loopback are not kept
    )


@contextlib.contextmanager
def bare_requests(
    ports: Ports, search: Callable[[int], object], *, grpc: bool
) -> Iterator[Callable[[int], object]]:
    """Yield what sends the bytes of one search again, and reads the answers."""
    rest_port, grpc_port = ports
    search(0)
    with (
        httpx.Client(
            base_url=f"http://127.0.0.1:{rest_port}", trust_env=False, timeout=60
        ) as client,
        insecure_channel(f"127.0.0.1:{grpc_port}", options=LONGEST) as channel,
    ):
        client.get("/requests")  # what was before
        search(0)
        sent = [(path, bytes.fromhex(body)) for path, body in client.get("/requests").json()]
        if not sent:
            raise RuntimeError("the server has seen no request of a search")
        headers = {"Content-Type": "application/json"}

        def again(_row: int) -> None:
            for path, body in sent:
                if grpc:
                    channel.unary_unary(path)(body, timeout=60)
                else:
                    client.post(path, content=body, headers=headers).raise_for_status()

        yield again


def cpu_ms(action: Callable[[int], object], count: int) -> float:
    begun = process_time()
    for row in range(count):
        action(row)
    return (process_time() - begun) / count * 1e3


def by_turns(works: dict[str, Callable[[int], object]], count: int) -> dict[str, float]:
    """Return the median CPU milliseconds of one call of each, in rounds by turns."""
    for work in works.values():
        work(0)
    rounds = [{name: cpu_ms(work, count) for name, work in works.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(each[name] for each in rounds) for name in works}


def measure_searches(ports: Ports, asked: Vectors, count: int, *, grpc: bool) -> list[Search]:
    encoder = ColbertLookup(asked, asked)
    client = connect(ports, grpc=grpc)
    name = f"searched_{grpc}"
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    index = HybridIndex.open(client, encoder, collection=name, config=config)
    protocol = "gRPC" if grpc else "REST"
    rows = []
    for what, options in (("default", {}), ("ColBERT", {"colbert": "rescore"})):
        search: Callable[[int], Any] = lambda row, options=options: index.search(  # noqa: E731
            f"query {row}", K, **options
        )
        with bare_requests(ports, search, grpc=grpc) as bare:
            times = by_turns({"ours": search, "bare": bare}, count)
        label = f"search, {what}, {protocol}"
        rows.append(Search(label, times["ours"], times["bare"], SEARCH_GOALS[what]))
    rows += measure_langchain_search(client, ports, asked, count, grpc=grpc)
    client.close()
    return rows


def measure_langchain_search(
    client: QdrantClient, ports: Ports, asked: Vectors, count: int, *, grpc: bool
) -> list[Search]:
    """Return the hybrid search of both vector stores, with the same lists and fusion."""
    ours, theirs = stores(client, asked, asked, f"chain_{grpc}")
    works: dict[str, Callable[[int], object]] = {
        "ours": lambda row: ours.similarity_search(f"query {row}", k=K, **SAME_FUSION),
        "theirs": lambda row: theirs.similarity_search(f"query {row}", k=K),
    }
    with bare_requests(ports, works["ours"], grpc=grpc) as bare:
        times = by_turns({**works, "bare": bare}, count)
    protocol = "gRPC" if grpc else "REST"
    return [
        Search(f"LangChain's hybrid search, {protocol}", times["ours"], times["bare"]),
        Search(f"the same by langchain-qdrant, {protocol}", times["theirs"], times["bare"]),
    ]


def stores(
    client: QdrantClient, stored: Vectors, asked: Vectors, name: str
) -> tuple[TrivecVectorStore, VectorStore]:
    from benchmarks.langchain_store import LookupEmbeddings, lookup_sparse
    from langchain_qdrant import QdrantVectorStore, RetrievalMode

    config = IndexConfig(codec="langchain", arms=("dense", "sparse"), batch_size=BATCH)
    ours = TrivecVectorStore.open(
        client, Lookup(stored, asked), collection_name=name, config=config
    )
    client.create_collection(
        f"{name}_theirs",
        vectors_config=models.VectorParams(size=DIM, distance=models.Distance.COSINE),
        sparse_vectors_config={"langchain-sparse": models.SparseVectorParams()},
    )
    theirs = QdrantVectorStore(
        client,
        f"{name}_theirs",
        LookupEmbeddings(stored, asked),
        RetrievalMode.HYBRID,
        sparse_embedding=lookup_sparse(stored, asked),
        validate_embeddings=False,
        validate_collection_config=False,
    )
    return ours, theirs


def spent(action: Callable[[], object], count: int) -> tuple[float, float]:
    """Return CPU and wall milliseconds of a thousand of ``count``."""
    wall, cpu = perf_counter(), process_time()
    action()
    return (process_time() - cpu) / count * 1e6, (perf_counter() - wall) / count * 1e6


def measure_adding(ports: Ports, stored: Vectors, asked: Vectors, *, grpc: bool) -> list[Adding]:
    client = connect(ports, grpc=grpc)
    ours, theirs = stores(client, stored, asked, f"added_{grpc}")
    texts: list[Document] = documents(len(stored[0]))
    few = texts[: len(texts) // 10]
    works: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: ours.add_documents(texts), len(texts)),
        "theirs": (lambda: theirs.add_documents(texts, batch_size=BATCH), len(texts)),
    }
    config = IndexConfig(codec="langchain", arms=("dense", "sparse", "colbert"), batch_size=BATCH)
    colbert = TrivecVectorStore.open(
        client, ColbertLookup(stored, asked), collection_name=f"colbert_{grpc}", config=config
    )
    works["colbert"] = (lambda: colbert.add_documents(few), len(few))
    gc.collect()
    gc.freeze()  # the tables of this benchmark are no side's to look through
    rounds = [{name: spent(*work) for name, work in works.items()} for _ in range(ROUNDS)]
    gc.unfreeze()
    middle = {
        name: (
            statistics.median(each[name][0] for each in rounds),
            statistics.median(each[name][1] for each in rounds),
        )
        for name in works
    }
    client.close()
    protocol = "gRPC" if grpc else "REST"
    return [
        Adding(f"add, {protocol}", middle["ours"], middle["theirs"]),
        Adding(f"add with ColBERT, {protocol}", middle["colbert"]),
    ]


def measure(points: int, searches: int) -> tuple[list[Search], list[Adding]]:
    """Return the CPU times of searches and of adding, by REST and gRPC."""
    stored, asked = vectors(points, NON_ZEROS, seed=0), vectors(searches, 12, seed=1)
    with answering() as ports:
        found = [measure_searches(ports, asked, searches, grpc=grpc) for grpc in (False, True)]
        added = [measure_adding(ports, stored, asked, grpc=grpc) for grpc in (False, True)]
    return [row for rows in found for row in rows], [row for rows in added for row in rows]


def report(searches: Sequence[Search], adding: Sequence[Adding], console: Console) -> None:
    table = Table(title="CPU milliseconds of the client, a search")
    for name in ("", "ours", "bare requests", "over them", "goal"):
        table.add_column(name, justify="left" if not name else "right")
    for row in searches:
        goal = "" if row.goal is None else f"{row.goal:.0f}"
        table.add_row(row.what, f"{row.ours:.2f}", f"{row.bare:.2f}", f"{row.over:.2f}", goal)
    console.print(table)
    table = Table(title="CPU milliseconds of the client, a thousand documents")
    for name in ("", "trivec", "langchain-qdrant", "ratio", "goal", "wall, both"):
        table.add_column(name, justify="left" if not name else "right")
    for each in adding:
        wall = f"{each.ours[1]:.0f}"
        if each.theirs is None or each.ratio is None:
            table.add_row(each.what, f"{each.ours[0]:.0f}", "", "", "", wall)
            continue
        cells = (f"{each.ours[0]:.0f}", f"{each.theirs[0]:.0f}", f"{each.ratio:.2f}x")
        table.add_row(each.what, *cells, f"{ADD_GOAL}x", f"{wall}, {each.theirs[1]:.0f}")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and fail where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=4_000)
    parser.add_argument("--searches", type=int, default=100)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "Api key is used with an insecure", UserWarning)
    searches, adding = measure(options.points, options.searches)
    console = Console(width=100)
    report(searches, adding, console)
    if missed := [row.what for row in (*searches, *adding) if row.missed]:
        console.print(f"goal missed: {'; '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
