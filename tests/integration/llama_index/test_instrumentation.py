"""What a LlamaIndex handler is told, synchronously and asynchronously."""

from __future__ import annotations

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import MockLLM
from pydantic import Field
from tests.integration.llama_index.corpus import NAMES

from llama_index_trivec import BGEM3Embedding, TrivecRerank, TrivecRetriever, create_query_engine
from trivec.rerankers import MaxSimReranker

pytestmark = pytest.mark.parametrize("index", ["edge"], indirect=True)


class Recorder(BaseEventHandler):
    seen: list = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Recorder"

    def handle(self, event, **kwargs):  # noqa: ARG002  # LlamaIndex's form
        self.seen.append(event)

    def named(self, name: str) -> list:
        return [event for event in self.seen if event.class_name() == name]


@pytest.fixture
def recorder():
    root = get_dispatcher()
    handler, spans = Recorder(), SimpleSpanHandler()
    root.add_event_handler(handler)
    root.add_span_handler(spans)
    yield handler, spans
    root.event_handlers.remove(handler)
    root.span_handlers.remove(spans)


@pytest.fixture(params=["sync", "async"])
def ask(request, filled, encoder):
    """Ask a query engine with a reranker one question."""
    engine = create_query_engine(
        TrivecRetriever(filled.client, similarity_top_k=3),
        MockLLM(),
        node_postprocessors=[TrivecRerank(MaxSimReranker(encoder), top_n=1)],
    )

    async def asked(question: str):
        if request.param == "sync":
            return engine.query(question)
        return await engine.aquery(question)

    return asked


async def test_events_of_a_whole_query(ask, recorder, encoder):
    events, _ = recorder
    response = await ask("green tea")
    [start] = events.named("EmbeddingStartEvent")
    [end] = events.named("EmbeddingEndEvent")
    [sparse] = events.named("SparseEmbeddingEndEvent")
    assert start.model_dict["model_name"] == encoder.info.model
    assert end.chunks == sparse.chunks == ["green tea"]
    [encoding] = encoder.encode_queries(["green tea"])
    assert end.embeddings == [encoding.dense.tolist()]
    assert sparse.embeddings == [encoding.sparse.to_mapping()]
    [found] = events.named("RetrievalEndEvent")
    assert len(found.nodes) == 3
    [rerank] = events.named("ReRankStartEvent")
    assert (rerank.query.query_str, rerank.top_n, rerank.model_name) == (
        "green tea",
        1,
        "MaxSimReranker",
    )
    assert rerank.nodes == found.nodes
    [kept] = events.named("ReRankEndEvent")
    assert [NAMES[each.node_id] for each in kept.nodes] == ["tea"]
    assert kept.nodes == response.source_nodes
    [synthesis] = events.named("SynthesizeEndEvent")
    assert synthesis.response.metadata["trivec"] == response.metadata["trivec"]
    order = [event.class_name() for event in events.seen]
    assert order.index("EmbeddingStartEvent") < order.index("EmbeddingEndEvent")
    assert order.index("RetrievalEndEvent") < order.index("ReRankStartEvent")
    assert order.index("ReRankEndEvent") < order.index("SynthesizeStartEvent")


async def test_spans_of_a_whole_query(ask, recorder):
    _, spans = recorder
    await ask("green tea")
    names = {span.id_.rpartition("-")[0].rsplit("-", 4)[0] for span in spans.completed_spans}
    ours = {name for name in names if name.startswith(("Trivec", "Cited"))}
    assert any(name.endswith("retrieve") for name in ours)
    assert any("postprocess_nodes" in name for name in ours)
    assert any("synthesize" in name for name in ours)


async def test_embedding_models_tell_of_themselves(recorder, encoder, index):
    events, _ = recorder
    dense = BGEM3Embedding(encoder)
    sparse = dense.sparse()
    dense.get_query_embedding("a")
    await dense.aget_text_embedding_batch(["b"])
    sparse.get_query_embedding("c")
    await sparse.aget_text_embedding_batch(["d"])
    assert [event.chunks for event in events.named("EmbeddingEndEvent")] == [["a"], ["b"]]
    assert [event.chunks for event in events.named("SparseEmbeddingEndEvent")] == [["c"], ["d"]]
    models = events.named("EmbeddingStartEvent") + events.named("SparseEmbeddingStartEvent")
    assert {event.model_dict["model_name"] for event in models} == {encoder.info.model}


async def test_callbacks(filled, encoder):
    debug = LlamaDebugHandler(print_trace_on_end=False)
    engine = create_query_engine(
        TrivecRetriever(filled.client, callback_manager=CallbackManager([debug])),
        MockLLM(),
        node_postprocessors=[TrivecRerank(MaxSimReranker(encoder), top_n=1)],
        callback_manager=CallbackManager([debug]),
    )
    await engine.aquery("green tea")
    for kind in (CBEventType.RETRIEVE, CBEventType.RERANKING, CBEventType.SYNTHESIZE):
        [(start, end)] = debug.get_event_pairs(kind)
        assert start.payload["query_str"] == "green tea"
        assert end.payload
