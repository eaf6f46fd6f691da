"""How each operation of the server stores is sent: reads have the short deadline, writes the long
one, and a write is answered once it is applied."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from dataclasses import replace

import httpx
import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient, models

from trivec.errors import StoreUnavailableError
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import AsyncServerStore, RetryPolicy, ServerStore
from trivec.types import Point

SCHEMA = Schema({"dense": VectorSpec("dense", "dense", 4)})
VECTOR = np.ones(4, dtype=np.float32)
POINT = Point(1, {"dense": VECTOR}, {"text": "a"})
EVERYTHING = models.Filter()
WAITS = {"first_wait": 0.001, "longest_wait": 0.001}
PATIENT_READS = RetryPolicy(read_deadline=30.0, write_deadline=0.0, **WAITS)
PATIENT_WRITES = RetryPolicy(read_deadline=0.0, write_deadline=30.0, **WAITS)

WRITES = {
    "upsert": lambda store: store.upsert([POINT]),
    "update_vectors": lambda store: store.update_vectors({1: {"dense": VECTOR}}),
    "overwrite_payload": lambda store: store.overwrite_payload({1: {"text": "b"}}),
    "delete ids": lambda store: store.delete(ids=[1]),
    "delete filter": lambda store: store.delete(filter=EVERYTHING),
    "describe": lambda store: store.describe(replace(SCHEMA, integer_ids=True)),
    "create_vector": lambda store: store.create_vector(VectorSpec("sparse", "sparse")),
    "create": lambda store: store.sibling("other").create(SCHEMA),
}
READS = {
    "query": lambda store: store.query([StoreQuery((Prefetch("dense", VECTOR, 1),), 1)]),
    "retrieve": lambda store: store.retrieve([1]),
    "scroll": lambda store: store.scroll(limit=1),
    "count": lambda store: store.count(),
}
OF_THE_SYNCHRONOUS_STORE = {"describe", "create_vector", "create"}


class Failing:
    """A client whose methods fail once each, as where the server restarts; reads of the schema
    never do, unless that is what is tested."""

    def __init__(self, client, *, spared=("collection_exists", "get_collection")):
        self._inner = client
        self._spared = spared
        self._failed = set()

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if name.startswith("_") or not callable(value) or name in self._spared:
            return value
        if inspect.iscoroutinefunction(value):

            async def awaited(*arguments, **options):
                self._fail_once(name)
                return await value(*arguments, **options)

            return awaited

        def called(*arguments, **options):
            self._fail_once(name)
            return value(*arguments, **options)

        return called

    def _fail_once(self, name):
        if name not in self._failed:
            self._failed.add(name)
            raise httpx.ConnectError("no route")


@pytest.fixture(params=["sync", "async"])
def perform(request):
    """Carries out an operation on a store whose client fails once, under a policy."""
    client = QdrantClient(":memory:")
    store = ServerStore(client, "kb")
    store.create(SCHEMA)
    store.upsert([POINT])

    def act(name, operation, policy, **options):
        if request.param == "sync":
            return operation(ServerStore(Failing(client, **options), "kb", retry=policy))
        if name in OF_THE_SYNCHRONOUS_STORE:
            pytest.skip("the asynchronous store has no such operation")

        async def awaited():
            twin = AsyncQdrantClient(":memory:")
            twin._client.collections = client._client.collections
            result = await operation(AsyncServerStore(Failing(twin, **options), "kb", retry=policy))
            await twin.close()
            return result

        return asyncio.run(awaited())

    yield act
    client.close()


@pytest.mark.parametrize("name", WRITES)
def test_a_write_has_the_long_deadline(perform, name):
    with pytest.raises(StoreUnavailableError):
        perform(name, WRITES[name], PATIENT_READS)
    perform(name, WRITES[name], PATIENT_WRITES)


@pytest.mark.parametrize("name", READS)
def test_a_read_has_the_short_deadline(perform, name):
    perform(name, READS[name], PATIENT_READS)
    with pytest.raises(StoreUnavailableError):
        perform(name, READS[name], PATIENT_WRITES)


def test_reading_the_schema_is_a_read(perform):
    everything_fails = {"spared": ()}
    perform("upsert", READS["count"], PATIENT_READS, **everything_fails)
    with pytest.raises(StoreUnavailableError):
        perform("upsert", WRITES["upsert"], PATIENT_WRITES, **everything_fails)


class Recording:
    """A client that notes the options of every call."""

    def __init__(self, client):
        self._inner = client
        self.options = {}

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if name.startswith("_") or not callable(value):
            return value

        def call(*arguments, **options):
            self.options[name] = options
            return value(*arguments, **options)

        return call


def test_every_write_is_answered_once_it_is_applied():
    with contextlib.closing(QdrantClient(":memory:")) as local:
        client = Recording(local)
        store = ServerStore(client, "kb")
        store.create(SCHEMA)
        store.upsert([POINT])
        for write in WRITES.values():
            write(store)
    of_points = {"upsert", "update_vectors", "batch_update_points", "delete", "create_vector_name"}
    always_wait = {"create_collection", "update_collection"}
    written = {name: given for name, given in client.options.items() if "timeout" in given}
    assert set(written) == of_points | always_wait
    assert all(given["timeout"] == 60 for given in written.values())
    assert all(written[name]["wait"] is True for name in of_points)
