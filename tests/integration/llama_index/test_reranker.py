"""The reranker as a postprocessor: order, thresholds, events, new nodes."""

from __future__ import annotations

import pytest
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine, RouterQueryEngine
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index.core.selectors import EmbeddingSingleSelector
from llama_index.core.tools import QueryEngineTool
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from tests.integration.llama_index.corpus import NAMES

from llama_index_trivec import BGEM3Embedding, TrivecRerank, TrivecRetriever
from trivec import InputError, ModelError
from trivec.rerankers import MaxSimReranker


class Lengths:
    """Scores a passage by its length, so that the right order is plain."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def score(self, query, passages):
        self.asked.append((query, list(passages)))
        return [float(len(passage)) for passage in passages]


@pytest.fixture
def scored(nodes):
    return [NodeWithScore(node=node, score=1.0 - at / 10) for at, node in enumerate(nodes)]


def test_the_order_is_the_rerankers(scored):
    kept = TrivecRerank(Lengths(), top_n=2).postprocess_nodes(scored, query_str="q")
    assert [NAMES[each.node_id] for each in kept] == ["car", "tea"]  # a tie keeps its order
    assert [each.score for each in kept] == [36.0, 36.0]


async def test_async_does_the_same(scored):
    rerank = TrivecRerank(Lengths(), top_n=3)
    expected = rerank.postprocess_nodes(scored, query_str="q")
    assert await rerank.apostprocess_nodes(scored, query_bundle=QueryBundle("q")) == expected


def test_what_was_given_stays_as_it_was(scored):
    before = [each.model_copy(deep=True) for each in scored]
    kept = TrivecRerank(Lengths(), keep_retrieval_score=True).postprocess_nodes(
        scored, query_str="q"
    )
    for each in kept:
        each.node.metadata["new"] = 1
    assert scored == before


def test_the_retrieval_score_is_kept_where_asked(scored):
    plain = TrivecRerank(Lengths()).postprocess_nodes(scored, query_str="q")
    kept = TrivecRerank(Lengths(), keep_retrieval_score=True).postprocess_nodes(
        scored, query_str="q"
    )
    assert all("retrieval_score" not in each.node.metadata for each in plain)
    earlier = {each.node_id: each.score for each in scored}
    for one, other in zip(kept, plain, strict=True):
        assert one.node.metadata["retrieval_score"] == earlier[one.node_id]
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert one.node.get_content(mode) == other.node.get_content(mode)


def test_threshold_and_probabilities(scored):
    assert len(TrivecRerank(Lengths(), threshold=36).postprocess_nodes(scored, None, "q")) == 2
    assert TrivecRerank(Lengths(), threshold=1000).postprocess_nodes(scored, None, "q") == []
    normalized = TrivecRerank(Lengths(), normalize=True, threshold=0.5)
    assert all(0.5 <= each.score <= 1 for each in normalized.postprocess_nodes(scored, None, "q"))


def test_no_nodes_and_no_query(scored):
    reranker = Lengths()
    assert TrivecRerank(reranker).postprocess_nodes([], query_str="q") == []
    assert TrivecRerank(reranker).postprocess_nodes(scored, query_str="q", query_bundle=None)
    assert len(reranker.asked) == 1
    with pytest.raises(InputError, match="query_bundle or query_str"):
        TrivecRerank(reranker).postprocess_nodes(scored)


def test_options_are_checked_at_once():
    with pytest.raises(InputError, match="top_n=-1"):
        TrivecRerank(Lengths(), top_n=-1)
    with pytest.raises(InputError, match="threshold=3"):
        TrivecRerank(Lengths(), normalize=True, threshold=3)


def test_a_reranker_that_gives_too_few_scores_is_an_error(scored):
    class Short:
        def score(self, _query, _passages):
            return [1.0]

    with pytest.raises(ModelError, match="1 scores for 6 passages"):
        TrivecRerank(Short()).postprocess_nodes(scored, query_str="q")


def engine_over(filled, encoder) -> RetrieverQueryEngine:
    return RetrieverQueryEngine.from_args(
        TrivecRetriever(filled.client, similarity_top_k=6),
        llm=MockLLM(),
        node_postprocessors=[TrivecRerank(MaxSimReranker(encoder), top_n=1)],
    )


def test_inside_a_query_engine(filled, encoder):
    [source] = engine_over(filled, encoder).query("green tea").source_nodes
    assert NAMES[source.node_id] == "tea"


async def test_inside_a_router_query_engine(filled, encoder):
    tool = QueryEngineTool.from_defaults(
        engine_over(filled, encoder), name="kb", description="what is known about green tea"
    )
    other = QueryEngineTool.from_defaults(
        engine_over(filled, encoder), name="cars", description="red cars on the road"
    )
    selector = EmbeddingSingleSelector.from_defaults(embed_model=BGEM3Embedding(encoder))
    router = RouterQueryEngine(selector, [tool, other], llm=MockLLM())
    for response in (router.query("green tea"), await router.aquery("green tea")):
        assert [NAMES[each.node_id] for each in response.source_nodes] == ["tea"]
        assert response.metadata["selector_result"].ind == 0


class Found(Event):
    nodes: list[NodeWithScore]
    query: str


class Search(Workflow):
    """Retrieve, then rerank, as LlamaIndex's documentation writes it."""

    def __init__(self, retriever, rerank, **options):
        super().__init__(**options)
        self.retriever, self.rerank = retriever, rerank

    @step
    async def retrieve(self, event: StartEvent) -> Found:
        return Found(nodes=await self.retriever.aretrieve(event.query), query=event.query)

    @step
    async def order(self, event: Found) -> StopEvent:
        kept = await self.rerank.apostprocess_nodes(event.nodes, query_str=event.query)
        return StopEvent(result=[NAMES[each.node_id] for each in kept])


async def test_inside_a_workflow(filled, encoder):
    workflow = Search(
        TrivecRetriever(filled.client), TrivecRerank(MaxSimReranker(encoder), top_n=1), timeout=30
    )
    assert await workflow.run(query="green tea") == ["tea"]


def test_the_retrieval_counts_where_asked(scored):
    alone = TrivecRerank(Lengths()).postprocess_nodes(scored, query_str="q")
    mixed = TrivecRerank(Lengths(), retrieval_weight=100.0).postprocess_nodes(scored, query_str="q")
    assert [each.node_id for each in mixed] == [each.node_id for each in scored]
    assert [each.node_id for each in alone] != [each.node_id for each in scored]


def test_the_retrieval_cannot_count_without_its_scores(scored):
    scored[0].score = None
    with pytest.raises(InputError, match="retrieval_weight"):
        TrivecRerank(Lengths(), retrieval_weight=1.0).postprocess_nodes(scored, query_str="q")
