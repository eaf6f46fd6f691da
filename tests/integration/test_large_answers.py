"""Answers of a Qdrant server are read up to a limit, and asked for in parts where that helps."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from contextlib import closing

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient
from tests.clock import HOUR
from tests.served_qdrant import ServedQdrant

from trivec import AsyncHybridIndex, HybridIndex
from trivec.errors import StoreError
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import AsyncServerStore, RetryPolicy, ServerStore
from trivec.stores.server.wire import answers
from trivec.testing import FakeEncoder
from trivec.types import Point

SCHEMA = Schema({"dense": VectorSpec("dense", "dense", 4)})
POINTS = [Point(at, {"dense": np.ones(4, np.float32)}, {"text": "a" * 1000}) for at in range(1, 33)]
QUERY = StoreQuery((Prefetch("dense", np.ones(4, np.float32), 8),), 8)
PATIENT = RetryPolicy(read_deadline=HOUR, write_deadline=HOUR)
BOMB = 2**28
ASKED = {
    "schema": lambda store: store.schema() if isinstance(store, AsyncServerStore) else store.schema,
    "count": lambda store: store.count(),
    "retrieve": lambda store: store.retrieve([1, 2]),
    "scroll": lambda store: store.scroll(),
    "query": lambda store: store.query([QUERY]),
    "upsert": lambda store: store.upsert(POINTS),
    "delete": lambda store: store.delete(ids=[1]),
}


@pytest.fixture
def served():
    with ServedQdrant() as server:
        yield server


def client_of(served: ServedQdrant) -> QdrantClient:
    return QdrantClient(port=served.port, host="127.0.0.1", timeout=60, check_compatibility=False)


@pytest.fixture
def store(served):
    with closing(client_of(served)) as client:
        store = ServerStore(client, "kb", retry=PATIENT)
        store.create(SCHEMA)
        store.upsert(POINTS)
        yield store


@pytest.fixture
def mebibyte(monkeypatch):
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 2**20)


def refused(act) -> None:
    with pytest.raises(StoreError, match=r"more than 128 MB.*fewer results"):
        act()


@pytest.mark.usefixtures("mebibyte")
@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_that_unpacks_without_end_is_not_read(served, store, asked):
    served.padding = 2**22
    fresh = ServerStore(store._client, "kb", retry=PATIENT)
    refused(lambda: ASKED[asked](fresh if asked == "schema" else store))
    served.padding = 0
    assert store.count() in (31, 32)  # the server did what it was asked


@pytest.mark.usefixtures("mebibyte")
@pytest.mark.parametrize("asked", ASKED)
async def test_nor_on_the_event_loop(served, store, asked):
    client = AsyncQdrantClient(
        port=served.port, host="127.0.0.1", timeout=60, check_compatibility=False
    )
    awaited = AsyncServerStore(client, "kb", retry=PATIENT)
    try:
        if asked != "schema":
            assert await awaited.count() == 32
        served.padding = 2**22
        with pytest.raises(StoreError, match="more than 128 MB"):
            await ASKED[asked](awaited)
    finally:
        await client.close()


def test_a_bomb_takes_little_memory(served, store, mebibyte, monkeypatch):
    assert store.count() == 32
    bomb = gzip.compress(bytes(BOMB), 1)
    assert len(bomb) < BOMB / 100
    monkeypatch.setattr(gzip, "compress", lambda _: bomb)
    served.padding = 0
    tracemalloc.start()
    refused(store.count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_opening_an_index_meets_the_limit(served, mebibyte):
    served.padding = 2**22
    encoder = FakeEncoder(4)
    with closing(client_of(served)) as client:
        refused(lambda: HybridIndex.open(client, encoder, collection="kb"))

    async def opened() -> None:
        client = AsyncQdrantClient(
            port=served.port, host="127.0.0.1", timeout=60, check_compatibility=False
        )
        try:
            await AsyncHybridIndex.open(client, encoder, collection="kb")
        finally:
            await client.close()

    refused(lambda: asyncio.run(opened()))


def test_many_points_are_asked_for_in_parts(store, monkeypatch):
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 10_000)  # nine points
    ids = [point.id for point in POINTS]
    assert sorted(point.id for point in store.retrieve(ids)) == ids
    found, offset = [], None
    while True:
        page, offset = store.scroll(offset=offset)
        found += [point.id for point in page]
        if offset is None:
            break
    assert sorted(found) == ids
    assert [len(hits) for hits in store.query([QUERY] * 5)] == [8] * 5


def test_what_else_the_client_is_used_for_has_no_limit(store, monkeypatch):
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 1000)
    refused(store.scroll)
    assert len(store._client.scroll("kb", limit=32)[0]) == 32
    hooks = store._client._client.http.client._client.event_hooks
    assert (len(hooks["request"]), len(hooks["response"])) == (1, 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Received message larger than max (9 vs. 4)", True),
        ("CLIENT: Received message larger than max (9 vs. 4)", True),
        ("Decompressed message larger than max", True),
        ("CLIENT: Sent message larger than max (9 vs. 4)", False),
        ("no such collection", False),
    ],
)
def test_a_channel_has_a_limit_of_its_own(words, expected):
    failure = RuntimeError()
    failure.details = lambda: words
    assert answers.is_oversized(failure) is expected
