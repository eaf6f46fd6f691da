"""Eight threads, and the event loop: nothing is lost, nothing waits."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from langchain_core.documents import Document
from tests.heart import Heart

from langchain_trivec import TrivecRetriever, TrivecVectorStore
from trivec.testing import FakeEncoder

WRITERS, EACH = 8, 12


def documents(writer):
    return [
        Document(id=f"{writer}-{number}", page_content=f"writer {writer} number {number}")
        for number in range(EACH)
    ]


def assert_whole(store):
    assert store.index.count() == WRITERS * EACH
    for writer in range(WRITERS):
        expected = documents(writer)
        assert store.get_by_ids([document.id for document in expected]) == expected


def test_eight_threads_add_and_search(store):
    def work(writer):
        for document in documents(writer):
            store.add_documents([document])
            assert store.similarity_search(document.page_content, k=1)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(work, range(WRITERS)))
    assert_whole(store)


async def test_tasks_add_and_search(store):
    async def work(writer):
        for document in documents(writer):
            await store.aadd_documents([document])
            assert await store.asimilarity_search(document.page_content, k=1)

    await asyncio.gather(*(work(writer) for writer in range(WRITERS)))
    assert_whole(store)


async def test_the_event_loop_goes_on_while_the_model_thinks(tmp_path):
    heart = Heart()

    class Waiting(FakeEncoder):
        """It holds the thread that asks, until the loop has gone on."""

        def encode_queries(self, texts, *, heads=("dense", "sparse", "colbert")):
            heart.wait()
            return super().encode_queries(texts, heads=heads)

    store = TrivecVectorStore.from_texts(["one text"], Waiting(), location=tmp_path / "kb")
    with closing(store.index):
        retriever = TrivecRetriever(index=store.index)
        searching = asyncio.gather(*(retriever.ainvoke(f"text {number}") for number in range(3)))
        found, _ = await asyncio.gather(searching, heart.beat())
    assert [len(documents) for documents in found] == [1] * 3
