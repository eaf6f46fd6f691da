"""Both adapters tell of their searches and answers through the core, awaited and not."""

from __future__ import annotations

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.events import AnswerEvent, SearchEvent, listen
from trivec.testing import FakeEncoder, MemoryStore


@pytest.fixture
def index():
    config = IndexConfig(arms=("dense", "sparse", "bm25"))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as opened:
        opened.add([Chunk("green tea is a warm drink", id="tea"), Chunk("the cat", id="cat")])
        yield opened


@pytest.fixture
def events():
    heard = []
    with listen(heard.append):
        yield heard


def kinds(events):
    found = [type(event) for event in events]
    events.clear()
    return found


async def test_langchain(index, events):
    from langchain_core.language_models import FakeListChatModel

    from langchain_trivec import TrivecRetriever, create_rag_chain

    retriever = TrivecRetriever(index=index, k=1)
    assert [document.id for document in retriever.invoke("warm tea")] == ["tea"]
    assert events[0].ids == (("tea",),)
    assert kinds(events) == [SearchEvent]
    await retriever.ainvoke("warm tea")
    assert kinds(events) == [SearchEvent]
    chain = create_rag_chain(retriever, FakeListChatModel(responses=["A warm drink [1]."] * 2))
    chain.invoke("what is tea?")
    assert events[-1].citations == (1,)
    assert kinds(events) == [SearchEvent, AnswerEvent]
    await chain.ainvoke("what is tea?")
    assert kinds(events) == [SearchEvent, AnswerEvent]


async def test_llama_index(index, events):
    from llama_index.core.llms import MockLLM

    from llama_index_trivec import TrivecRetriever, create_query_engine

    retriever = TrivecRetriever(index, similarity_top_k=1)
    retriever.retrieve("warm tea")
    assert events[0].ids == (("tea",),)
    assert kinds(events) == [SearchEvent]
    await retriever.aretrieve("warm tea")
    assert kinds(events) == [SearchEvent]
    engine = create_query_engine(retriever, MockLLM())
    engine.query("what is tea?")
    assert kinds(events) == [SearchEvent, AnswerEvent]
    await engine.aquery("what is tea?")
    assert kinds(events) == [SearchEvent, AnswerEvent]
