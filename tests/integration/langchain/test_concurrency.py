"""Eight threads, and the event loop: nothing is lost, nothing waits."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from langchain_core.documents import Document

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


class Slow(FakeEncoder):
    """Takes its time, as a model does."""

    def encode_queries(self, texts, *, heads=("dense", "sparse", "colbert")):
        time.sleep(0.1)
        return super().encode_queries(texts, heads=heads)


async def test_the_event_loop_goes_on_while_the_model_thinks(tmp_path):
    store = TrivecVectorStore.from_texts(["one text"], Slow(), location=tmp_path / "kb")
    retriever = TrivecRetriever(index=store.index)
    beats = 0

    async def heart():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.01)

    beating = asyncio.create_task(heart())
    await asyncio.gather(*(retriever.ainvoke(f"text {number}") for number in range(3)))
    beating.cancel()
    store.index.close()
    assert beats >= 5, "blocked, the loop beats once or twice"
