"""Both ways with the real llama-index-vector-stores-qdrant."""

from __future__ import annotations

import contextlib

import pytest
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from qdrant_client import QdrantClient
from tests.integration.llama_index.corpus import NAMES, TEXTS, make_node, node_id

from llama_index_trivec import BGEM3Embedding, TrivecRetriever, TrivecVectorStore
from trivec import FingerprintMismatchError, HybridIndex, IndexConfig
from trivec.testing import FakeEncoder

qdrant = pytest.importorskip("llama_index.vector_stores.qdrant")


@pytest.fixture
def client():
    with contextlib.closing(QdrantClient(":memory:")) as opened:
        yield opened


@pytest.fixture
def embed(encoder) -> BGEM3Embedding:
    return BGEM3Embedding(encoder)


def theirs(client, embed, *, hybrid: bool, **names) -> object:
    sparse = embed.sparse()
    own = {"sparse_doc_fn": sparse.encode_documents, "sparse_query_fn": sparse.encode_queries}
    return qdrant.QdrantVectorStore(
        "kb", client, enable_hybrid=hybrid, index_doc_id=False, **(own if hybrid else {}), **names
    )


def adopted(client, encoder) -> HybridIndex:
    return HybridIndex.open(client, encoder, collection="kb", adopt=True)


def names(result) -> list[str]:
    return [NAMES[identity] for identity in result.ids]


def query(embed, text: str, mode: str = "default", **fields) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_embedding=embed.get_query_embedding(text),
        query_str=text,
        similarity_top_k=6,
        mode=VectorStoreQueryMode(mode),
        **fields,
    )


@pytest.fixture(params=[False, True], ids=["dense", "hybrid"])
def written(request, client, embed, nodes):
    """A collection that LlamaIndex's adapter wrote, and that adapter."""
    store = theirs(client, embed, hybrid=request.param)
    store.add(embed(nodes))
    return store


@pytest.mark.usefixtures("written")
def test_adoption_is_explicit(client, encoder):
    with pytest.raises(FingerprintMismatchError, match="adopt=True"):
        HybridIndex.open(client, encoder, collection="kb")


def test_what_they_wrote_is_read(client, encoder, embed, written):
    store = TrivecVectorStore(adopted(client, encoder))
    ours, other = store.query(query(embed, "green tea")), written.query(query(embed, "green tea"))
    assert ours.ids == other.ids
    assert ours.similarities == pytest.approx(other.similarities, abs=1e-6)
    for name in TEXTS:
        [found] = store.get_nodes([node_id(name)])
        assert found == make_node(name)
    zh = MetadataFilters(filters=[MetadataFilter(key="lang", value="zh")])
    assert sorted(names(store.query(query(embed, "cat", filters=zh)))) == ["zh1", "zh2"]
    animals = query(embed, "cat", doc_ids=["animals"])
    assert sorted(names(store.query(animals))) == ["cat", "dog"]
    store.delete("animals")
    assert sorted(names(written.query(query(embed, "cat")))) == ["car", "tea", "zh1", "zh2"]


def test_what_we_add_to_it_they_read(client, encoder, embed, written):
    written.delete("drinks")
    store = TrivecVectorStore(adopted(client, encoder))
    store.add([make_node("tea")])
    found = written.query(query(embed, "green tea"))
    assert names(found)[0] == "tea"
    assert len(found.ids) == len(TEXTS)
    [node] = written.get_nodes([node_id("tea")])
    node.embedding = None
    assert node == make_node("tea")


@pytest.mark.usefixtures("written")
def test_an_adopted_collection_gets_a_lexical_arm(client, encoder):
    index = adopted(client, encoder)
    assert index.add_arm("bm25") == len(TEXTS)
    found = TrivecRetriever(index, similarity_top_k=1).retrieve("红色 汽车")
    assert NAMES[found[0].node_id] == "zh2"


def test_what_we_wrote_they_read(client, encoder, embed, nodes):
    index = HybridIndex.open(
        client, encoder, collection="kb", config=IndexConfig(codec="llama_index")
    )
    store = TrivecVectorStore(index)
    store.add(nodes)
    other = theirs(
        client, embed, hybrid=True, dense_vector_name="dense", sparse_vector_name="sparse"
    )
    for mode in ("default", "sparse"):
        ours = store.query(query(embed, "green tea", mode))
        assert other.query(query(embed, "green tea", mode)).ids == ours.ids
    hybrid = other.query(query(embed, "green tea", "hybrid", alpha=0.5))
    assert names(hybrid)[0] == "tea"
    for name in TEXTS:
        [node] = other.get_nodes([node_id(name)])
        node.embedding = None
        assert node == make_node(name)
    other.delete("animals")
    assert store.client.count() == 4
    zh = MetadataFilters(filters=[MetadataFilter(key="lang", value="zh")])
    assert sorted(names(other.query(query(embed, "cat", filters=zh)))) == ["zh1", "zh2"]


def test_their_store_takes_our_sparse_functions_in_one_forward(client, nodes):
    encoder = FakeEncoder()
    embed = BGEM3Embedding(encoder)
    store = theirs(client, embed, hybrid=True)
    store.add(embed(nodes))
    assert encoder.calls == 1
    assert names(store.query(query(embed, "green tea", "hybrid", alpha=0.3)))[0] == "tea"
    assert encoder.calls == 2
