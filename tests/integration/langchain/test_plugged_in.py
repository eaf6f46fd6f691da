"""What users of LangChain give to a store: bad records, odd keys and values, ids, retrievers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, index

from langchain_trivec import BGEM3Embeddings, TrivecRetriever, TrivecVectorStore
from trivec.errors import InputError
from trivec.rerankers import MaxSimReranker
from trivec.testing import FakeEncoder


def ids(documents):
    return [document.id for document in documents]


@pytest.mark.filterwarnings("ignore:Using SHA-1")
@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
def test_index_goes_on_past_blank_documents_and_cleans_up(tmp_path, encoder, cleanup):
    reports = []
    store = TrivecVectorStore.open(tmp_path / "kb", encoder, on_report=reports.append)
    manager = InMemoryRecordManager(namespace="n")
    manager.create_schema()

    def run(texts):
        documents = [Document(page_content=text, metadata={"source": "s"}) for text in texts]
        index(documents, manager, store, cleanup=cleanup, source_id_key="source", batch_size=3)
        return sorted(chunk.text for chunk in store.index.chunks())

    texts = ["one", "two", " ", "three", "four", "five"]
    for _ in range(3):
        assert run(texts) == ["five", "four", "one", "three", "two"]
    assert sum(len(report.refused) for report in reports) == 1
    assert run(["one", "\n", "six"]) == ["one", "six"]
    store.index.close()


def test_a_text_is_no_list_of_texts(store):
    store.add_texts(["one", "two", "three"], ids=["1", "2", "12"])
    wrong = [
        lambda: store.delete("12"),
        lambda: store.get_by_ids("12"),
        lambda: store.add_texts("one text"),
        lambda: store.add_texts(["x", "y"], ids="12"),
        lambda: store.add_documents(Document(page_content="x")),
        lambda: store.add_documents("text"),
        lambda: store.add_documents(["text"]),
        lambda: store.add_texts(["x"], {"a": 1}),
        lambda: store.similarity_search("one", ids="12"),
        lambda: store.embeddings.embed_documents("one text"),
    ]
    for call in wrong:
        with pytest.raises(InputError, match="list"):
            call()
    assert store.index.count() == 3


def test_documents_longer_than_the_model_reads(tmp_path, caplog):
    store = TrivecVectorStore.open(tmp_path / "kb", FakeEncoder(max_length=16))
    store.add_texts(["word " * 100, "short", " "], ids=["long", "short", "blank"])
    cut, refused = (record.message for record in caplog.records)
    assert "1 passages are longer than the model reads" in cut
    assert "1 passages were refused" in refused
    assert store.last_report.truncated == ("long",)
    store.similarity_search("query " * 100)
    assert "1 of 1 queries are longer" in caplog.records[-1].message
    store.index.close()


class State(Enum):
    OPEN = "open"


@dataclass
class Place:
    name: str


def test_metadata_of_the_types_that_programs_have(store):
    metadata = {
        "day": date(2024, 5, 1),
        "at": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "uuid": UUID(int=5),
        "price": Decimal("1.50"),
        "path": PurePosixPath("a/b"),
        "state": State.OPEN,
        "lasts": timedelta(hours=1),
        "address": IPv4Address("10.0.0.1"),
        "place": Place("shelf"),
        "tags": {"b", "a"},
        "n": np.int64(3),
        "x": np.float32(0.5),
        "yes": np.bool_(True),
        "row": np.array([1, 2]),
        "deep": {"day": [date(2024, 5, 1)]},
    }
    [identity] = store.add_texts(["tea"], [metadata])
    assert store.add_texts(["tea"], [metadata]) == [identity]
    assert store.last_report.skipped == 1
    [document] = store.get_by_ids([identity])
    assert document.metadata == {
        "day": "2024-05-01",
        "at": "2024-05-01T12:00:00Z",
        "uuid": str(UUID(int=5)),
        "price": "1.50",
        "path": "a/b",
        "state": "open",
        "lasts": "PT1H",
        "address": "10.0.0.1",
        "place": {"name": "shelf"},
        "tags": ["a", "b"],
        "n": 3,
        "x": 0.5,
        "yes": True,
        "row": [1, 2],
        "deep": {"day": ["2024-05-01"]},
    }
    for name in ("day", "at", "uuid", "price", "path", "state", "lasts", "address", "n", "x"):
        assert ids(store.similarity_search("tea", filter={name: metadata[name]})) == [identity]
    assert ids(store.similarity_search("tea", filter={"day": {"gte": date(2024, 4, 1)}}))


ODD_KEYS = ["a.b", "x[0]", "dc:title", "with space", 'quo"te', "back\\slash", "🍵", "", "ключ"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_can_be_filtered(store, key):
    store.add_texts(["tea", "tea too"], [{key: "keep"}, {key: "go"}], ids=["keep", "go"])
    assert ids(store.similarity_search("tea", filter={key: "keep"})) == ["keep"]
    assert ids(store.similarity_search("tea", filter={key: {"$nin": ["keep"]}})) == ["go"]
    assert len(store.similarity_search("tea", filter={key: {"$exists": True}})) == 2
    store.delete(filter={key: {"ne": "keep"}})
    assert ids(store.similarity_search("tea")) == ["keep"]


def test_searching_within_ids(store):
    store.add_texts(["tea", "tea", "tea"], [{"n": 1}, {"n": 2}, {"n": 3}], ids=["a", "b", "c"])
    assert ids(store.similarity_search("tea", filter={"id": "b"})) == ["b"]
    assert ids(store.similarity_search("tea", ids=["c"])) == ["c"]
    assert ids(store.similarity_search("tea", ids=["a", "c"], filter={"n": {"gt": 1}})) == ["c"]
    assert store.similarity_search("tea", ids=[]) == []
    assert ids(store.similarity_search("tea", filter={"metadata.n": 2})) == ["b"]
    found = store.similarity_search("tea", filter={"metadata.n": {"$in": [1, 3]}})
    assert sorted(ids(found)) == ["a", "c"]
    store.add_texts(["tea"], [{"id": "mine", "metadata": {"n": 2}}], ids=["d"])
    assert ids(store.similarity_search("tea", filter={"id": "mine"})) == ["d"]
    assert store.similarity_search("tea", filter={"id": "d"}) == []
    assert sorted(ids(store.similarity_search("tea", filter={"metadata.n": 2}))) == ["b", "d"]


async def test_a_retriever_takes_what_a_search_takes(store):
    store.add_texts(["tea", "green tea"], [{"n": 1}, {"n": 2}], ids=["a", "b"])
    retriever = store.as_retriever(k=1, filter={"n": 1})
    assert ids(retriever.invoke("green tea")) == ["a"]
    assert ids(await retriever.ainvoke("green tea")) == ["a"]
    both = store.as_retriever(search_kwargs={"k": 2}, ids=["b"], arms=["dense"], tags=["t"])
    assert ids(both.invoke("tea")) == ["b"]
    assert "t" in both.tags
    for wrong in ({"kk": 1}, {"k": 1, "search_kwargs": {"k": 2}}, {"search_kwargs": {"filte": 1}}):
        with pytest.raises(InputError):
            store.as_retriever(**wrong)


def unique(documents):
    """As MultiQueryRetriever joins what several queries found."""
    return [each for at, each in enumerate(documents) if each not in documents[:at]]


def test_what_several_queries_found_is_joined(store):
    store.add_texts(["green tea", "black tea"], [{"n": 1}, {"n": 2}], ids=["a", "b"])
    retriever = TrivecRetriever(
        index=store.index, explain=True, reranker=MaxSimReranker(store.index.encoder)
    )
    found = [*retriever.invoke("green tea"), *retriever.invoke("some black tea")]
    assert len(found) == 4
    assert len(unique(found)) == 2
    scores = {float(each.metadata["relevance_score"]) for each in found}
    assert len(scores) > 2, "each query's own score is there"
    assert {"score", "arms", "matches", "parts"} == found[0].metadata["trivec"].keys()
    assert found[0].metadata["trivec"] != {}
    assert found[0].metadata["relevance_score"] != 7.0


def test_metadata_under_the_retrievers_key_stays(store):
    store.add_texts(["tea"], [{"trivec": "mine"}])
    [found] = TrivecRetriever(index=store.index).invoke("tea")
    assert found.metadata["trivec"] == "mine"


class Cached(Embeddings):
    """In the shape of LangChain's CacheBackedEmbeddings."""

    def __init__(self, underlying):
        self.underlying_embeddings = underlying

    def embed_documents(self, texts):
        return self.underlying_embeddings.embed_documents(texts)

    def embed_query(self, text):
        return self.underlying_embeddings.embed_query(text)


def test_a_cache_has_a_name_for_each_model():
    names = [
        BGEM3Embeddings(FakeEncoder(**options)).model
        for options in ({}, {"name": "other"}, {"dim": 32}, {"max_length": 16})
    ]
    assert len(set(names)) == 4
    assert names[0] == BGEM3Embeddings(FakeEncoder()).model
    assert re.fullmatch(r"fake-[0-9a-f]{16}", names[0])
    odd = BGEM3Embeddings(FakeEncoder(name="/home/me/models/bge m3/"))
    assert re.fullmatch(r"bge-m3-[0-9a-f]{16}", odd.model)


def test_a_store_over_cached_embeddings_is_whole(tmp_path, caplog):
    caplog.set_level("INFO")
    store = TrivecVectorStore.open(tmp_path / "kb", Cached(BGEM3Embeddings(FakeEncoder())))
    assert "sparse" in store.index.schema.vectors
    assert store.index.schema.fingerprint.encoder == FakeEncoder().info
    assert "the cache" in caplog.text
    store.index.close()


def test_embeddings_that_are_dense_alone_are_named(tmp_path, caplog):
    nameless = DeterministicFakeEmbedding(size=8)
    TrivecVectorStore.open(tmp_path / "a", nameless).index.close()
    assert "DeterministicFakeEmbedding gives dense vectors alone" in caplog.text
    caplog.clear()
    named = DeterministicFakeEmbedding(size=8)
    vars(named)["model"] = "m-1"
    store = TrivecVectorStore.open(tmp_path / "b", Cached(named))
    assert store.index.schema.fingerprint.encoder.model.endswith("Cached/m-1")
    assert not caplog.records
    store.index.close()


def test_texts_of_which_some_have_no_metadata(store):
    ids = store.add_texts(["one", "two"], [None, {"a": 1}])
    assert [document.metadata for document in store.get_by_ids(ids)] == [{}, {"a": 1}]
