"""One settings file, and every way to search follows it."""

from __future__ import annotations

import pytest

from trivec import Chunk, HybridIndex
from trivec.evaluation import System, load_options, save_settings
from trivec.testing import FakeEncoder, MemoryStore

PASSAGES = [
    Chunk("lemons are sour fruit", id="lemon"),
    Chunk("honey is sweet", id="honey"),
    Chunk("snow is cold and white", id="snow"),
]
QUESTION = "sour"


@pytest.fixture
def options(tmp_path):
    save_settings(System.from_text("bm25, bm25>0.01"), tmp_path / "settings.json")
    return load_options(tmp_path / "settings.json")


@pytest.fixture
def index():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as opened:
        opened.add(PASSAGES)
        yield opened


def test_the_index(index, options):
    assert len(index.search(QUESTION)) == 3  # the default finds all
    assert [hit.id for hit in index.search(QUESTION, options=options)] == ["lemon"]


def test_langchain(index, options):
    langchain = pytest.importorskip("langchain_trivec")
    retriever = langchain.TrivecRetriever(index=index, options=options)
    assert [document.page_content for document in retriever.invoke(QUESTION)] == [PASSAGES[0].text]


def test_llama_index(index, options):
    llama_index = pytest.importorskip("llama_index_trivec")
    retriever = llama_index.TrivecRetriever(index, options=options)
    assert [node.node.get_content() for node in retriever.retrieve(QUESTION)] == [PASSAGES[0].text]
