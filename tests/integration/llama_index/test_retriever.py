"""The retriever: one forward, every text on every arm, LlamaIndex's behaviour around it."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.indices.query.query_transform.base import HyDEQueryTransform
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import IndexNode, MetadataMode, QueryBundle, TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters
from qdrant_client import models
from tests.heart import Heart
from tests.integration.llama_index.corpus import NAMES, TEXTS

from llama_index_trivec import TrivecRetriever
from trivec import Chunk, FilterError, InputError, SearchOptions
from trivec.testing import FakeEncoder


def names(found) -> list[str]:
    return [NAMES[each.node.node_id] for each in found]


@pytest.fixture
def kb(filled):
    return filled.client


def test_one_forward_for_a_query_whatever_the_arms(kb, encoder):
    retriever = TrivecRetriever(kb, similarity_top_k=3)
    before = encoder.calls
    found = retriever.retrieve("warm green tea")
    assert names(found)[0] == "tea"
    assert encoder.calls == before + 1
    retriever.retrieve(QueryBundle("a", custom_embedding_strs=["red car", "sofa", "公路"]))
    assert encoder.calls == before + 2


@pytest.mark.parametrize("arm", ["dense", "sparse", "bm25"])
def test_every_custom_text_is_searched_on_every_arm(kb, arm):
    retriever = TrivecRetriever(kb, similarity_top_k=2, options=SearchOptions(arms=[arm]))
    bundle = QueryBundle("nothing of this", custom_embedding_strs=[TEXTS["dog"], TEXTS["zh2"]])
    assert sorted(names(retriever.retrieve(bundle))) == ["dog", "zh2"]


def test_query_str_is_the_text_where_there_is_no_other(kb):
    retriever = TrivecRetriever(kb, similarity_top_k=1)
    for bundle in ("green tea", QueryBundle("green tea"), QueryBundle("green tea", None, [])):
        assert names(retriever.retrieve(bundle)) == ["tea"]
        assert names(asyncio.run(retriever.aretrieve(bundle))) == ["tea"]


def test_an_embedding_alone_searches_the_dense_arm(kb, encoder):
    vector = encoder.encode_queries(["green tea"])[0].dense.tolist()
    before = encoder.calls
    found = TrivecRetriever(kb, similarity_top_k=1).retrieve(QueryBundle("", embedding=vector))
    assert names(found) == ["tea"]
    assert encoder.calls == before
    with pytest.raises(InputError, match="shape"):
        TrivecRetriever(kb).retrieve(QueryBundle("", embedding=[1.0, 2.0]))


def test_a_blank_query_and_a_bad_count_are_refused(kb):
    with pytest.raises(InputError, match="blank"):
        TrivecRetriever(kb).retrieve("  ")
    with pytest.raises(InputError, match="similarity_top_k=0"):
        TrivecRetriever(kb, similarity_top_k=0)


@pytest.mark.parametrize(
    "filters",
    [
        MetadataFilters(filters=[MetadataFilter(key="lang", value="zh")]),
        {"lang": "zh"},
        models.Filter(
            must=[models.FieldCondition(key="metadata.lang", match=models.MatchValue(value="zh"))]
        ),
    ],
    ids=["llama_index", "shorthand", "qdrant"],
)
def test_filters(kb, filters):
    found = TrivecRetriever(kb, filters=filters).retrieve("cat")
    assert sorted(names(found)) == ["zh1", "zh2"]


def test_a_filter_that_cannot_be_expressed_is_refused_at_once(kb):
    filters = MetadataFilters(filters=[MetadataFilter(key="lang", value="zh", operator="in")])
    with pytest.raises(FilterError, match=r"'in' on 'lang' takes a list"):
        TrivecRetriever(kb, filters=filters)


def test_an_explanation_is_shown_to_nobody_who_does_not_ask(kb):
    plain = TrivecRetriever(kb, similarity_top_k=1).retrieve("green tea")[0]
    assert "trivec" not in plain.node.metadata
    retriever = TrivecRetriever(kb, similarity_top_k=1, options=SearchOptions(explain=True))
    [explained] = retriever.retrieve("green tea")
    told = explained.node.metadata["trivec"]
    assert set(told["arms"]) == {"dense", "sparse", "bm25"}
    assert {"green", "tea"} <= {match["term"] for match in told["matches"]}
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert explained.node.get_content(mode) == plain.node.get_content(mode)


def test_chunks_that_never_were_nodes_come_as_text_nodes(kb):
    kb.add([Chunk("plain passages are nodes too", id="plain", source="notes.md")])
    [found] = TrivecRetriever(kb, similarity_top_k=1).retrieve("plain passages")
    assert type(found.node) is TextNode
    assert (found.node.node_id, found.node.ref_doc_id) == ("plain", "notes.md")


def test_query_transforms_reach_every_arm(kb):
    hyde = HyDEQueryTransform(llm=MockLLM(), include_original=True)
    retriever = TrivecRetriever(kb, similarity_top_k=1, query_transform=hyde)
    assert names(retriever.retrieve("green tea")) == ["tea"]
    assert names(asyncio.run(retriever.aretrieve("green tea"))) == ["tea"]
    assert "query_transform:hyde_prompt" in retriever.get_prompts()


def test_index_nodes_are_followed(open_index):
    from llama_index_trivec import TrivecVectorStore

    index = open_index("memory")
    TrivecVectorStore(index).add([IndexNode(text="a table of teas", index_id="table")])
    table = TextNode(text="oolong, sencha, matcha")
    retriever = TrivecRetriever(index, object_map={"table": table})
    assert [each.node.text for each in retriever.retrieve("teas")] == [table.text]


def test_inside_llama_indexs_fusion_retriever(kb):
    fusion = QueryFusionRetriever(
        [TrivecRetriever(kb), TrivecRetriever(kb, options=SearchOptions(arms=["bm25"]))],
        llm=MockLLM(),
        num_queries=1,
        mode="reciprocal_rerank",
        similarity_top_k=2,
        use_async=False,
    )
    assert names(fusion.retrieve("green tea"))[0] == "tea"


def test_inside_a_query_engine(kb):
    engine = RetrieverQueryEngine.from_args(TrivecRetriever(kb, similarity_top_k=1), llm=MockLLM())
    response = engine.query("green tea")
    assert TEXTS["tea"] in str(response)
    assert names(response.source_nodes) == ["tea"]


async def test_twenty_queries_do_not_block_the_loop(open_index, nodes):
    from llama_index_trivec import TrivecVectorStore

    index, heart = open_index("edge"), Heart()
    TrivecVectorStore(index).add(nodes)

    class Waiting(FakeEncoder):
        """It holds the thread that asks, until the loop has gone on."""

        def encode_queries(self, texts, **options):
            heart.wait()
            return super().encode_queries(texts, **options)

    retriever = TrivecRetriever(index.with_encoder(Waiting()), similarity_top_k=2)
    searching = asyncio.gather(*(retriever.aretrieve(f"green tea {n}") for n in range(20)))
    found, _ = await asyncio.gather(searching, heart.beat())
    assert [names(each)[0] for each in found] == ["tea"] * 20
