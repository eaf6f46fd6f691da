"""The asynchronous index: the same results as the other, without holding up the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import replace

import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient
from tests.clock import HOUR
from tests.heart import Heart

from trivec import AsyncHybridIndex, Chunk, HybridIndex, IndexConfig, QueryText, SearchOptions
from trivec.errors import CollectionNotFoundError, InputError, StoreError, StoreUnavailableError
from trivec.stores import AsyncServerStore, RetryPolicy, ServerStore
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS

pytestmark = pytest.mark.asyncio
CONFIG = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"), batch_size=4)
CHUNKS = [
    Chunk(
        f"passage number {n} of the book 第{n}页",
        id=str(n),
        source=f"{n % 3}.md",
        metadata={"n": n},
    )
    for n in range(24)
]
SEARCHES = [f"number {n} 页" for n in range(20)]
OPTIONS = SearchOptions(explain=True, colbert="fuse")


@contextlib.asynccontextmanager
async def opened(kind, path, encoder):
    """An index of each kind with its asynchronous face."""
    if kind == "server":
        client = QdrantClient(":memory:")
        twin = AsyncQdrantClient(":memory:")  # the two share their data in this test alone
        twin._client.collections = client._client.collections
        index = HybridIndex.open(client, encoder, collection="kb", config=CONFIG)
        try:
            yield AsyncHybridIndex(index, AsyncServerStore(twin, "kb"))
        finally:
            await twin.close()
            client.close()
    else:
        location = path / "kb" if kind == "edge" else MemoryStore()
        with HybridIndex.open(location, encoder, config=CONFIG) as index:
            yield AsyncHybridIndex(index)


@pytest.fixture(params=["edge", "server", "fake"])
def kind(request):
    return request.param


def facts(hits):
    return [
        (hit.id, pytest.approx(hit.score, abs=1e-5), hit.chunk, len(hit.matches)) for hit in hits
    ]


async def test_it_does_what_the_other_does(kind, tmp_path):
    async with opened(kind, tmp_path, FakeEncoder()) as index:
        report = await index.add(CHUNKS)
        assert report.added == len(CHUNKS)
        assert (await index.add(CHUNKS)).skipped == len(CHUNKS)
        changed = replace(CHUNKS[0], metadata={"n": -1})
        assert (await index.add([changed])).updated == 1
        assert await index.get(["0", "nobody"]) == [changed] == index.index.get(["0"])
        texts = [QueryText("number 7"), QueryText("页", arms=("bm25",))]
        found = await index.search(texts, k=5, filter={"n": {"lt": 9}}, options=OPTIONS)
        assert found[0].id == "7"
        expected = index.index.search(texts, k=5, filter={"n": {"lt": 9}}, options=OPTIONS)
        assert facts(found) == facts(expected)
        assert await index.delete(source="1.md") == 8
        assert await index.count() == index.index.count() == 16
        report = await index.add([CHUNKS[0]], replace_sources=True)
        assert report.deleted == 7


async def test_twenty_searches_at_once(kind, tmp_path):
    async with opened(kind, tmp_path, FakeEncoder()) as index:
        await index.add(CHUNKS)
        found = await asyncio.gather(*(index.search(text, options=OPTIONS) for text in SEARCHES))
        for text, hits in zip(SEARCHES, found, strict=True):
            assert facts(hits) == facts(index.index.search(text, options=OPTIONS))


async def test_adding_from_many_tasks_loses_nothing(kind, tmp_path):
    async with opened(kind, tmp_path, FakeEncoder()) as index:
        parts = [CHUNKS[start::8] for start in range(8)]
        reports = await asyncio.gather(*(index.add(part) for part in parts))
        assert sum(report.added for report in reports) == len(CHUNKS) == await index.count()


async def test_the_loop_goes_on_while_texts_are_encoded(kind, tmp_path):
    heart = Heart()

    class Slow(FakeEncoder):
        def encode_queries(self, texts, *, heads=ALL_HEADS):
            heart.wait()
            return super().encode_queries(texts, heads=heads)

    async with opened(kind, tmp_path, Slow()) as index:
        await index.add(CHUNKS)
        beating = asyncio.create_task(heart.beat())
        found = await asyncio.gather(*(index.search(text, k=1) for text in SEARCHES))
        assert [len(hits) for hits in found] == [1] * 20
        await beating


async def test_the_loop_goes_on_while_the_engine_searches():
    heart = Heart()

    class Slow(MemoryStore):
        def rank(self, queries):
            heart.wait()
            return super().rank(queries)

    with HybridIndex.open(Slow(), FakeEncoder(), config=CONFIG) as index:
        asynchronous = AsyncHybridIndex(index)
        await asynchronous.add(CHUNKS)
        beating = asyncio.create_task(heart.beat())
        found = await asyncio.gather(*(asynchronous.search(text, k=1) for text in SEARCHES))
        assert [len(hits) for hits in found] == [1] * 20
        await beating


async def test_errors_come_out(kind, tmp_path):
    class Failing(FakeEncoder):
        def encode_documents(self, texts, *, heads=ALL_HEADS):
            if any("number 9" in text for text in texts):
                raise MemoryError("the machine is small")
            return super().encode_documents(texts, heads=heads)

    async with opened(kind, tmp_path, Failing()) as index:
        with pytest.raises(InputError, match="blank"):
            await index.search(" ")
        with pytest.raises(InputError, match="given nothing"):
            await index.delete()
        with pytest.raises(MemoryError) as caught:
            await index.add(CHUNKS)
        assert any("add the same chunks again" in note for note in caught.value.__notes__)
        assert await index.count() == 8  # two batches were whole
        assert not others()


async def test_a_failing_write_comes_out():
    class Full(MemoryStore):
        def upsert(self, _points):
            raise StoreError("the disk is full")

    with HybridIndex.open(Full(), FakeEncoder(), config=CONFIG) as index:
        with pytest.raises(StoreError, match="disk is full"):
            await AsyncHybridIndex(index).add(CHUNKS)
        assert not others()


def others():
    """Tasks that are still there beside the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_cancelling_leaves_nothing_behind(kind, tmp_path):
    """Whole batches stay, no task is left, and adding again completes the work."""
    reached, proceed = threading.Event(), threading.Event()

    class Waiting(FakeEncoder):
        def encode_documents(self, texts, *, heads=ALL_HEADS):
            if any("number 9 " in text for text in texts) and not proceed.is_set():
                reached.set()
                proceed.wait(timeout=60)
            return super().encode_documents(texts, heads=heads)

    async with opened(kind, tmp_path, Waiting()) as index:
        adding = asyncio.create_task(index.add(CHUNKS))
        assert await asyncio.to_thread(reached.wait, 60)
        adding.cancel()
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await adding
        assert not others()
        assert await index.count() == 8
        report = await index.add(CHUNKS)
        assert (report.skipped, report.added) == (8, len(CHUNKS) - 8)
        searching = asyncio.create_task(index.search("number"))
        await asyncio.sleep(0)
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching
        assert not others()
        assert (await index.search("number 7", k=1))[0].id == "7"


async def test_an_arm_that_was_added_is_written_asynchronously_too(tmp_path):
    """The asynchronous store had read the schema before the arm was there."""
    client = QdrantClient(":memory:")
    twin = AsyncQdrantClient(":memory:")
    twin._client.collections = client._client.collections
    config = IndexConfig(arms=("dense",))
    plain = HybridIndex.open(client, FakeEncoder(), collection="kb", config=config)
    index = AsyncHybridIndex(plain, AsyncServerStore(twin, "kb"))
    await index.add(CHUNKS[:5])
    plain.add_arm("sparse")
    await index.add(CHUNKS[5:])
    options = SearchOptions(arms=["sparse"])
    assert (await index.search("number 3", k=1, options=options))[0].id == "3"
    assert (await index.search("number 8", k=1, options=options))[0].id == "8"
    await twin.close()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
async def test_a_server_that_is_not_there(closed_port, grpc, clock):
    client = AsyncQdrantClient(
        host="127.0.0.1",
        port=closed_port,
        grpc_port=closed_port,
        prefer_grpc=grpc,
        https=False,
        check_compatibility=False,
        timeout=60,
    )
    patient = RetryPolicy(read_deadline=HOUR, longest_wait=HOUR / 10)
    try:
        with pytest.raises(StoreUnavailableError, match="check that it runs"):
            await AsyncServerStore(client, "kb", retry=patient).count()
    finally:
        await client.close()
    assert 0 < clock.now < HOUR


# Opened on the loop


@contextlib.asynccontextmanager
async def on_the_loop(kind, path):
    """Open an index without a synchronous client; what opened it is closed in the end."""
    if kind == "server":
        client = AsyncQdrantClient(":memory:")
        place = {"location": client, "collection": "kb"}
    else:
        client = None
        place = {"location": path / "kb" if kind == "edge" else MemoryStore()}
    try:
        yield place
    finally:
        if client is not None:
            await client.close()


async def test_open_creates_the_collection_and_everything_is_awaited(kind, tmp_path):
    encoder = FakeEncoder()
    config = IndexConfig(arms=("dense", "bm25"), batch_size=4)
    async with on_the_loop(kind, tmp_path) as place:
        with pytest.raises(CollectionNotFoundError, match=r"no index at"):
            await AsyncHybridIndex.open(**place, encoder=encoder, create=False)
        async with await AsyncHybridIndex.open(**place, encoder=encoder, config=config) as index:
            assert (await index.add(CHUNKS)).added == len(CHUNKS)
            given = [chunk async for chunk in index.chunks({"n": {"gte": 20}})]
            assert sorted(chunk.id for chunk in given) == ["20", "21", "22", "23"]
            assert await index.add_arm("sparse") == len(CHUNKS)
            assert "sparse" in index.index.arms()
            [hit] = await index.search("number 7", 1, arms=["sparse"])
            assert hit.id == "7"
            await index.optimize()
            target = AsyncQdrantClient(":memory:")
            seen = []
            async with await AsyncHybridIndex.open(target, encoder, collection="copy") as other:
                assert await index.copy_to(other, progress=seen.append) == sum(seen) == len(CHUNKS)
                assert await other.count() == len(CHUNKS)
                assert facts(await other.search("number 7")) == facts(
                    await index.search("number 7")
                )
            await target.close()
        with pytest.raises(StoreError, match="closed"):
            await index.count()
        await index.aclose()
        if kind != "fake":  # a closed MemoryStore is gone
            async with await AsyncHybridIndex.open(**place, encoder=encoder) as again:
                assert await again.count() == len(CHUNKS)


async def test_a_loop_that_would_wait_for_itself_is_told(tmp_path):
    async with on_the_loop("server", tmp_path) as place:
        index = await AsyncHybridIndex.open(**place, encoder=FakeEncoder())
        with pytest.raises(StoreError, match="await the methods"):
            index.index.count()
        assert await asyncio.to_thread(index.index.count) == 0


async def test_a_client_of_the_other_kind():
    awaited, plain, encoder = AsyncQdrantClient(":memory:"), QdrantClient(":memory:"), FakeEncoder()
    with pytest.raises(InputError, match=r"AsyncQdrantClient.*await AsyncHybridIndex\.open"):
        HybridIndex.open(awaited, encoder, collection="kb")
    with pytest.raises(InputError, match="AsyncServerStore takes this one"):
        ServerStore(awaited, "kb")
    with pytest.raises(InputError, match="ServerStore takes this one"):
        AsyncServerStore(plain, "kb")
    with pytest.raises(InputError, match="needs collection="):
        await AsyncHybridIndex.open(awaited, encoder)
    index = await AsyncHybridIndex.open(plain, encoder, collection="kb")
    assert await index.count() == 0
    await awaited.close()
    plain.close()
