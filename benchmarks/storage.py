"""Time to write and to search: EdgeStore against qdrant-client's in-memory mode.

``python benchmarks/storage.py [--points 10000]``. Points have a dense vector of 1,024 dims and a
sparse one of about 120 non-zeros over a vocabulary of 250,002 by Zipf's law, as M3 makes them; a
query takes 50 candidates of each, fused by reciprocal rank. Both sides start from the same numpy
arrays and write in batches of 256. The in-memory mode is used raw, without trivec around it.

Both take turns, and the best ingest of each is compared: on a busy machine single runs scatter.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from qdrant_client import QdrantClient, models

from trivec.fusion import Rrf
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import EdgeStore
from trivec.types import FloatArray, Point, SparseVector

DIM, NON_ZEROS, VOCABULARY, BATCH, DEPTH, LIMIT = 1024, 130, 250_002, 256, 50, 10
PAYLOAD = {"text": "x" * 200}

Vectors: TypeAlias = tuple[FloatArray, list[SparseVector]]


@dataclass(frozen=True)
class Timing:
    """Seconds for the whole ingest, and for each query; the ids that each query found."""

    ingest: float
    ingest_cpu: float
    queries: list[float]
    found: list[list[int]]
    optimize: float = 0.0
    optimized_queries: tuple[float, ...] = ()

    @property
    def query(self) -> float:
        return statistics.median(self.queries)


def vectors(count: int, non_zeros: int, seed: int) -> Vectors:
    """Return unit vectors and sparse vectors with Zipf-distributed indices."""
    generator = np.random.default_rng(seed)
    dense = generator.standard_normal((count, DIM), dtype=np.float32)
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    weight = 1.0 / np.arange(1, VOCABULARY + 1)
    cumulative = np.cumsum(weight / weight.sum())
    cumulative[-1] = 1.0
    sparse = []
    for _ in range(count):
        drawn = np.unique(np.searchsorted(cumulative, generator.random(non_zeros)))
        values = generator.random(len(drawn), dtype=np.float32) + np.float32(0.01)
        sparse.append(SparseVector(drawn.astype(np.uint32), values))
    return dense, sparse


def batches(count: int) -> Iterator[range]:
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def timed_with_cpu(action: Callable[[], object]) -> tuple[float, float]:
    begun = time.process_time()
    return timed(action), time.process_time() - begun


def time_edge(data: Vectors, queries: Vectors, *, optimize: bool) -> Timing:
    dense, sparse = data
    asked = [
        StoreQuery(
            (Prefetch("dense", one, DEPTH), Prefetch("sparse", other, DEPTH)),
            LIMIT,
            Rrf(2, (1.0, 1.0)),
        )
        for one, other in zip(*queries, strict=True)
    ]
    found: list[list[int]] = []

    def ingest() -> None:
        for rows in batches(len(dense)):
            store.upsert(
                [Point(n, {"dense": dense[n], "sparse": sparse[n]}, PAYLOAD) for n in rows]
            )

    def search(query: StoreQuery) -> None:
        found.append([point.id for point in store.query([query])[0]])

    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(EdgeStore(Path(folder) / "kb")) as store,
    ):
        store.create(
            Schema(
                {
                    "dense": VectorSpec("dense", "dense", DIM),
                    "sparse": VectorSpec("sparse", "sparse"),
                }
            )
        )
        seconds, cpu = timed_with_cpu(ingest)
        before = [timed(lambda query=query: search(query)) for query in asked]
        exact = list(found)
        if not optimize:
            return Timing(seconds, cpu, before, exact)
        optimizing = timed(store.optimize)
        after = [timed(lambda query=query: search(query)) for query in asked]
    return Timing(seconds, cpu, before, exact, optimizing, tuple(after))


def time_memory(data: Vectors, queries: Vectors) -> Timing:
    dense, sparse = data
    found: list[list[int]] = []
    client = QdrantClient(":memory:")
    client.create_collection(
        "kb",
        vectors_config={"dense": models.VectorParams(size=DIM, distance=models.Distance.COSINE)},
        sparse_vectors_config={"sparse": models.SparseVectorParams()},
    )

    def sparse_input(vector: SparseVector) -> models.SparseVector:
        return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())

    def ingest() -> None:
        for rows in batches(len(dense)):
            client.upsert(
                "kb",
                [
                    models.PointStruct(
                        id=n,
                        vector={"dense": dense[n].tolist(), "sparse": sparse_input(sparse[n])},
                        payload=PAYLOAD,
                    )
                    for n in rows
                ],
            )

    def search(one: FloatArray, other: SparseVector) -> None:
        response = client.query_points(
            "kb",
            prefetch=[
                models.Prefetch(query=one.tolist(), using="dense", limit=DEPTH),
                models.Prefetch(query=sparse_input(other), using="sparse", limit=DEPTH),
            ],
            query=models.RrfQuery(rrf=models.Rrf(k=2)),
            limit=LIMIT,
        )
        found.append([point.id for point in response.points])

    with contextlib.closing(client):
        seconds, cpu = timed_with_cpu(ingest)
        times = [
            timed(lambda one=one, other=other: search(one, other))
            for one, other in zip(*queries, strict=True)
        ]
    return Timing(seconds, cpu, times, found)


def overlap(left: list[list[int]], right: list[list[int]]) -> float:
    """Return the mean share of results that two runs have in common."""
    return statistics.mean(
        len(set(one) & set(other)) / LIMIT for one, other in zip(left, right, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "Local mode is not recommended", UserWarning)
    data = vectors(arguments.points, NON_ZEROS, seed=0)
    queries = vectors(arguments.queries, 12, seed=1)
    non_zeros = statistics.mean(len(vector) for vector in data[1])
    runs = [
        (time_edge(data, queries, optimize=last), time_memory(data, queries))
        for last in [False] * (arguments.repeats - 1) + [True]
    ]
    edge, memory = runs[-1]
    tuned = statistics.median(edge.optimized_queries)
    ingest = [min(run[side].ingest for run in runs) for side in (0, 1)]
    ingest_cpu = [min(run[side].ingest_cpu for run in runs) for side in (0, 1)]

    print(f"{arguments.points} points of {DIM} dims and {non_zeros:.0f} non-zeros")
    print(f"{'':28}{'EdgeStore':>12}{':memory:':>12}{'ratio':>9}{'goal':>7}")
    rows = [
        ("ingest, s", *ingest, "3x"),
        ("ingest, s of processor", *ingest_cpu, ""),
        ("query, ms", edge.query * 1e3, memory.query * 1e3, "50x"),
        ("query after optimize, ms", tuned * 1e3, memory.query * 1e3, ""),
    ]
    for name, ours, theirs, goal in rows:
        print(f"{name:28}{ours:12.2f}{theirs:12.2f}{theirs / ours:8.1f}x{goal:>7}")
    print(f"{'optimize, s':28}{edge.optimize:12.2f}")
    print(
        f"{'slowest query, ms':28}{max(edge.queries) * 1e3:12.2f}{max(memory.queries) * 1e3:12.2f}"
    )
    print(f"results in common before optimize: {overlap(edge.found, memory.found):.0%}")


if __name__ == "__main__":
    main()
