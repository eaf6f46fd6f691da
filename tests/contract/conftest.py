"""What the contract suites share: the stores under test, and the points in them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient

from trivec.protocols import AsyncStore, Store
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.stores import AsyncServerStore, EdgeStore, ServerStore
from trivec.testing import MemoryStore
from trivec.types import EncoderInfo, Point, SparseVector

DIM, ROWS_DIM = 16, 8


@dataclass(frozen=True)
class Place:
    """Somewhere that a store can be opened.

    Attributes:
        name: which kind of store.
        open: opens it, as a context that closes the store and what it stands on.
        persistent: whether a second opening finds what the first wrote.
    """

    name: str
    open: Callable[[], contextlib.AbstractContextManager[Store]]
    persistent: bool


def edge_place(path: Path) -> Place:
    @contextlib.contextmanager
    def opened() -> Iterator[Store]:
        with contextlib.closing(EdgeStore(path / "index")) as store:
            yield store

    return Place("edge", opened, persistent=True)


def server_place(path: Path | None) -> Place:
    @contextlib.contextmanager
    def opened() -> Iterator[Store]:
        client = QdrantClient(":memory:") if path is None else QdrantClient(path=str(path / "db"))
        with contextlib.closing(client), contextlib.closing(ServerStore(client, "kb")) as store:
            yield store

    return Place("server-memory" if path is None else "server-path", opened, path is not None)


class AwaitedStore:
    """A store whose points go through an asynchronous one, so that one suite tests both.

    The event loop runs in a thread of its own; what an asynchronous store does not do (create,
    describe, close) the synchronous one does.
    """

    AWAITED = (
        "upsert",
        "update_vectors",
        "overwrite_payload",
        "query",
        "rank",
        "retrieve",
        "scroll",
        "delete",
        "count",
    )

    def __init__(self, store: Store, awaited: AsyncStore) -> None:
        self._store, self._awaited = store, awaited
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __getattr__(self, name: str):
        if name not in self.AWAITED:
            return getattr(self._store, name)
        method = getattr(self._awaited, name)
        return lambda *arguments, **options: self.wait_for(method(*arguments, **options))

    def wait_for(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        self._store.close()
        self.wait_for(self._awaited.close())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def over_the_same_data(client: QdrantClient) -> AsyncQdrantClient:
    """Return an asynchronous client in memory that sees what a synchronous one holds."""
    twin = AsyncQdrantClient(":memory:")
    twin._client.collections = client._client.collections
    return twin


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def awaited() -> Iterator[Callable[[Store, AsyncStore], AwaitedStore]]:
    """Makes a store out of a synchronous and an asynchronous one; stops its loop afterwards."""
    made = []

    def make(store: Store, asynchronous: AsyncStore) -> AwaitedStore:
        made.append(AwaitedStore(store, asynchronous))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def async_place() -> Place:
    @contextlib.contextmanager
    def opened() -> Iterator[Store]:
        with contextlib.closing(QdrantClient(":memory:")) as client:
            awaited = AsyncServerStore(over_the_same_data(client), "kb")
            with contextlib.closing(AwaitedStore(ServerStore(client, "kb"), awaited)) as store:
                yield store
            store.stop()

    return Place("server-async", opened, persistent=False)


def memory_place() -> Place:
    @contextlib.contextmanager
    def opened() -> Iterator[Store]:
        with contextlib.closing(MemoryStore()) as store:
            yield store

    return Place("fake", opened, persistent=False)


def every_place(path: Path) -> list[Place]:
    return [edge_place(path), server_place(None), server_place(path), memory_place()]


PLACES = {
    "edge": edge_place,
    "server-memory": lambda _: server_place(None),
    "server-path": server_place,
    "server-async": lambda _: async_place(),
    "fake": lambda _: memory_place(),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture(params=["edge", "server-memory", "fake"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    """What HybridIndex.open takes, the same place each time."""
    if request.param == "edge":
        return {"location": tmp_path / "kb"}
    if request.param == "fake":
        return {"location": MemoryStore()}
    return {"location": QdrantClient(":memory:"), "collection": "kb"}


@pytest.fixture
def store(place: Place, schema: Schema) -> Iterator[Store]:
    """An empty collection in each kind of store."""
    with place.open() as opened:
        opened.create(schema)
        yield opened


@pytest.fixture
def all_stores(tmp_path: Path, schema: Schema) -> Iterator[dict[str, Store]]:
    """One empty collection in every kind of store at once."""
    with contextlib.ExitStack() as stack:
        stores = {}
        for each in every_place(tmp_path):
            stores[each.name] = stack.enter_context(each.open())
            stores[each.name].create(schema)
        yield stores


@pytest.fixture(scope="session")
def schema() -> Schema:
    """All four arms, payload indexes and a fingerprint."""
    return Schema(
        vectors={
            "dense": VectorSpec("dense", "dense", DIM),
            "sparse": VectorSpec("sparse", "sparse"),
            "bm25": VectorSpec("bm25", "sparse", idf=True),
            "colbert": VectorSpec("colbert", "multivector", ROWS_DIM),
        },
        fingerprint=Fingerprint(
            EncoderInfo(model="test", weights="0" * 64, dense_dim=DIM, colbert_dim=ROWS_DIM),
            {"stemming": None},
        ),
        payload_indexes={
            "metadata.lang": "keyword",
            "metadata.year": "integer",
            "metadata.score": "float",
            "metadata.draft": "bool",
            "metadata.published": "datetime",
            "metadata.title": "text",
            "metadata.uuid": "uuid",
        },
        tenant_key="trivec.tenant",
    )


def random_vectors(generator: np.random.Generator) -> dict:
    """Vectors of every arm, without ties."""

    def sparse(count: int) -> SparseVector:
        indices = np.sort(generator.choice(60, count, replace=False)).astype(np.uint32)
        return SparseVector(indices, generator.uniform(0.1, 2.0, count).astype(np.float32))

    rows = int(generator.integers(2, 6))
    return {
        "dense": generator.standard_normal(DIM).astype(np.float32),
        "sparse": sparse(int(generator.integers(3, 9))),
        "bm25": sparse(int(generator.integers(3, 9))),
        "colbert": generator.standard_normal((rows, ROWS_DIM)).astype(np.float32),
    }


def random_points(count: int, seed: int = 0) -> list[Point]:
    """Points with ids from 1; every 7th lacks the dense vector, every 5th the sparse one."""
    generator = np.random.default_rng(seed)
    points = []
    for number in range(1, count + 1):
        vectors = random_vectors(generator)
        if number % 7 == 0:
            del vectors["dense"]
        if number % 5 == 0:
            del vectors["sparse"]
        metadata = {"lang": "zh" if number % 2 else "en", "year": 2000 + number % 25}
        points.append(Point(number, vectors, {"text": f"passage {number}", "metadata": metadata}))
    return points


@pytest.fixture(scope="session")
def points() -> list[Point]:
    return random_points(60)


@pytest.fixture(scope="session")
def many_points() -> list[Point]:
    return random_points(300, seed=1)


@pytest.fixture(scope="session")
def query_vectors() -> list[dict]:
    generator = np.random.default_rng(2)
    return [random_vectors(generator) for _ in range(12)]
