"""What our vector store does beyond the conformance suite."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import IndexNode, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from tests.heart import Heart
from tests.integration.llama_index.corpus import NAMES, TEXTS, make_node

from llama_index_trivec import BGEM3Embedding, TrivecRetriever, TrivecVectorStore
from trivec import FilterError, HybridIndex, InputError, SearchOptions, TrivecError
from trivec.stores import AsyncServerStore
from trivec.testing import FakeEncoder


def names(result) -> list[str]:
    return [NAMES.get(identity, identity) for identity in result.ids]


def query(text: str, mode: str = "default", top_k: int = 10, **fields) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_str=text, mode=VectorStoreQueryMode(mode), similarity_top_k=top_k, **fields
    )


@pytest.mark.parametrize("arms", [None, ("dense", "sparse", "bm25", "colbert"), ("dense",)])
def test_an_index_of_documents_is_one_forward(open_index, encoder, arms):
    store = TrivecVectorStore(open_index("edge", arms=arms))
    documents = [Document(text=text, metadata={"name": name}) for name, text in TEXTS.items()]
    context = StorageContext.from_defaults(vector_store=store)
    kb = VectorStoreIndex.from_documents(
        documents, context, embed_model=store.embed_model, transformations=[SentenceSplitter()]
    )
    assert encoder.calls == 1
    found = kb.as_retriever(similarity_top_k=1).retrieve("green tea")
    assert found[0].node.metadata["name"] == "tea"
    assert encoder.calls == 2
    if arms is None:
        kb.as_retriever(similarity_top_k=1, vector_store_query_mode="hybrid").retrieve("green tea")
        assert encoder.calls == 2


def test_an_embedding_model_on_the_same_encoder_shares_the_forward(index, encoder, nodes):
    store = TrivecVectorStore(index)
    store.add(BGEM3Embedding(encoder)(nodes))
    assert encoder.calls == 1


def test_unchanged_nodes_are_not_encoded_again(filled, encoder):
    calls = encoder.calls
    fresh = TrivecVectorStore(filled.client.with_encoder(FakeEncoder()))
    fresh.add([make_node(name) for name in TEXTS])
    assert fresh.client.encoder.encoder.calls == 0
    assert encoder.calls == calls


def test_changed_relationships_are_stored_without_encoding(filled, encoder):
    calls = encoder.calls
    changed = make_node("cat")
    changed.excluded_llm_metadata_keys = ["title"]
    filled.add([changed])
    [found] = filled.get_nodes([changed.node_id])
    assert found.excluded_llm_metadata_keys == ["title"]
    assert encoder.calls == calls


def test_nodes_that_cannot_be_stored_are_named(store, caplog):
    caplog.set_level("WARNING", "llama_index_trivec")
    given = [
        TextNode(text=" ", id_="blank"),
        TextNode(text="odd", id_="odd", metadata={"x": object()}),
        IndexNode(text="t", id_="points", index_id="i", obj=lambda: None),
        TextNode(text="good", id_="good"),
    ]
    assert store.add(given) == [node.node_id for node in given]
    assert [node.node_id for node in store.get_nodes()] == ["good"]
    reasons = {refusal.id: refusal.reason for refusal in store.last_report.refused}
    assert reasons.keys() == {"blank", "odd", "points"}
    assert "cannot be written as JSON" in reasons["odd"]
    assert "object_map" in reasons["points"]
    [record] = caplog.records
    assert "3 passages were refused" in record.message
    strict = TrivecVectorStore(store.client, strict=True)
    with pytest.raises(InputError, match="blank: the text is blank"):
        strict.add([given[0], TextNode(text="more", id_="more")])
    assert sorted(node.node_id for node in store.get_nodes()) == ["good", "more"]


def test_the_embedding_of_a_node_is_not_stored(store, encoder):
    node = TextNode(text="green tea", id_="tea", embedding=[1.0] * 3)
    store.add([node])
    [dense] = [
        point.vectors["dense"]
        for point in store.client.store.retrieve(
            [store.client.point_id("tea")], with_vectors=["dense"]
        )
    ]
    np.testing.assert_allclose(dense, encoder.encode_documents(["green tea"])[0].dense, atol=1e-6)
    assert node.embedding == [1.0] * 3
    assert store.get_nodes(["tea"])[0].embedding is None


def test_modes_say_what_they_miss(filled):
    for mode in ("sparse", "text_search", "hybrid"):
        with pytest.raises(InputError, match=f"mode '{mode}' searches by words"):
            filled.query(VectorStoreQuery(query_embedding=[1.0], mode=VectorStoreQueryMode(mode)))
    for mode in ("default", "mmr"):
        with pytest.raises(InputError, match="needs query_embedding or query_str"):
            filled.query(VectorStoreQuery(mode=VectorStoreQueryMode(mode)))
    for mode in ("semantic_hybrid", "logistic_regression", "linear_regression"):
        with pytest.raises(InputError, match=f"'{mode}' is not supported; allowed: "):
            filled.query(query("cat", mode))
    with pytest.raises(InputError, match=r"alpha=1\.5"):
        filled.query(query("cat", "hybrid", alpha=1.5))
    with pytest.raises(InputError, match="embedding_field='x'"):
        filled.query(query("cat", embedding_field="x"))
    with pytest.raises(InputError, match="shape"):
        filled.query(VectorStoreQuery(query_embedding=[1.0, 2.0]))


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        ("in", "zh", r"'in' on 'lang' takes a list, got 'zh'"),
        ("==", ["zh"], r"'==' on 'lang' takes one value"),
        ("all", [], r"'\$and' takes a list"),
        (">", "high", r"bound 'high'"),
        ("text_match", 3, r"'text_match' on 'lang' takes a text, got 3"),
        ("text_match", " ", r"'text_match' on 'lang' takes a text, got ' '"),
    ],
)
def test_filters_that_cannot_be_expressed_name_the_operator(filled, operator, value, message):
    filters = MetadataFilters(filters=[MetadataFilter(key="lang", operator=operator, value=value)])
    for action in (
        lambda: filled.query(query("cat", filters=filters)),
        lambda: filled.get_nodes(filters=filters),
        lambda: filled.delete_nodes(filters=filters),
    ):
        with pytest.raises(FilterError, match=message):
            action()
    assert filled.client.count() == len(TEXTS)


def test_qdrants_own_filter_stands_in_for_the_querys(filled):
    zh = models.FieldCondition(key="metadata.lang", match=models.MatchValue(value="zh"))
    ignored = MetadataFilters(filters=[MetadataFilter(key="lang", value="en")])
    found = filled.query(query("cat", filters=ignored), qdrant_filters=models.Filter(must=[zh]))
    assert sorted(names(found)) == ["zh1", "zh2"]


def test_hybrid_follows_the_options(filled, encoder):
    options = SearchOptions(arms=["bm25"])
    lexical = TrivecVectorStore(filled.client, options=options)
    assert names(lexical.query(query("green tea", "hybrid"))) == ["tea", "dog"]
    assert encoder.calls == 1  # the nodes
    both = filled.query(query("green tea", "hybrid", top_k=2, hybrid_top_k=4))
    assert len(both.ids) == 4
    assert len(filled.query(query("the", "sparse", top_k=1, sparse_top_k=3)).ids) == 3


def test_a_tenant_sees_and_clears_its_own_nodes_only(tmp_path, nodes):
    encoder = FakeEncoder()
    client = QdrantClient(path=str(tmp_path / "db"))
    stores = [
        TrivecVectorStore(HybridIndex.open(client, encoder, collection="kb", tenant=tenant))
        for tenant in ("a", "b")
    ]
    for store in stores:
        store.add(nodes)
    everything = models.Filter()
    stores[0].delete_nodes([nodes[0].node_id])
    assert len(stores[0].query(query("cat"), qdrant_filters=everything).ids) == 5
    stores[0].clear()
    assert stores[0].get_nodes() == []
    assert len(stores[1].get_nodes()) == len(nodes)
    client.close()


def test_a_store_can_be_written_down_and_holds_no_text(filled):
    assert filled.to_dict()["class_name"] == "TrivecVectorStore"
    assert "cat" not in str(filled.to_dict())


async def test_an_asynchronous_store_is_awaited(nodes):
    client, twin = QdrantClient(":memory:"), AsyncQdrantClient(":memory:")
    twin._client.collections = client._client.collections  # two that share their data
    index = HybridIndex.open(client, FakeEncoder(), collection="kb")
    awaited = AsyncServerStore(twin, "kb")
    store = TrivecVectorStore(index, async_store=awaited)
    retriever = TrivecRetriever(index, similarity_top_k=1, async_store=awaited)
    await store.async_add(nodes)
    client.close()  # what is asynchronous needs it no more
    assert names(await store.aquery(query("green tea", "hybrid")))[0] == "tea"
    assert [NAMES[each.node_id] for each in await retriever.aretrieve("green tea")] == ["tea"]
    await store.adelete("drinks")
    assert "tea" not in names(await store.aquery(query("green tea", "hybrid")))
    await twin.close()


async def test_twenty_queries_do_not_block_the_loop(open_index, nodes):
    index, heart = open_index("edge"), Heart()
    TrivecVectorStore(index).add(nodes)

    class Waiting(FakeEncoder):
        """It holds the thread that asks, until the loop has gone on."""

        def encode_queries(self, texts, **options):
            heart.wait()
            return super().encode_queries(texts, **options)

    store = TrivecVectorStore(index.with_encoder(Waiting()))
    searching = asyncio.gather(
        *(store.aquery(query(f"green tea {n}", "hybrid")) for n in range(20))
    )
    found, _ = await asyncio.gather(searching, heart.beat())
    assert [names(each)[0] for each in found] == ["tea"] * 20


def test_deleting_takes_the_id_of_one_document(filled):
    count = filled.client.count()
    for given in ({"source": ["tea.md"]}, {"source": "tea.md"}, {}, {"ref_doc_ids": ["a"]}):
        with pytest.raises(InputError, match=r"ref_doc_id; give the id of one source document"):
            filled.delete(**given)
        with pytest.raises(InputError, match=r"ref_doc_id"):
            asyncio.run(filled.adelete(**given))
    for document in (["tea.md"], ("tea.md",), {"tea.md"}, {"a": 1}, 1, b"tea.md", object()):
        with pytest.raises(InputError):
            filled.delete(document)
    with pytest.raises(InputError, match="unknown arguments"):
        filled.delete("tea.md", source="b")
    assert filled.client.count() == count


WRONG = {
    "query_str": [["tea"], 1, b"tea"],
    "similarity_top_k": [None, "5", 1.5, [3]],
    "sparse_top_k": ["5", [3]],
    "hybrid_top_k": ["5"],
    "mode": [None, "best", 1, ["default"]],
    "doc_ids": ["tea.md", 1, [None], [["tea.md"]]],
    "node_ids": ["tea.md", 1, [None]],
    "query_embedding": [["a"], "abc", {"a": 1}],
    "filters": [1, ["a"]],
}


@pytest.mark.parametrize("field", WRONG)
def test_what_a_field_of_a_query_does_not_take(filled, field):
    for value in WRONG[field]:
        for mode in ("default", "hybrid"):
            fields = {"query_str": "tea", "mode": VectorStoreQueryMode(mode), field: value}
            if field == "filters":
                asked = VectorStoreQuery(query_str="tea")
                asked.filters = value
            else:
                asked = VectorStoreQuery(**fields)
            with pytest.raises(TrivecError):
                filled.query(asked)
    for value in (None, "tea", {"query_str": "tea"}):
        with pytest.raises(InputError, match="VectorStoreQuery"):
            filled.query(value)


def test_a_mode_by_its_name_and_a_filter_in_shorthand(filled):
    by_name = filled.query(VectorStoreQuery(query_str="tea", mode="hybrid", similarity_top_k=1))
    assert by_name.ids == filled.query(query("tea", "hybrid", 1)).ids
    [one, *_] = filled.get_nodes()
    key, value = next(iter(one.metadata.items()))
    asked = query("tea", "hybrid")
    asked.filters = {key: value}
    assert {node.metadata[key] for node in filled.query(asked).nodes} == {value}
