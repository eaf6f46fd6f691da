"""The query engine: citations that exist, refusals with a reason, streams."""

from __future__ import annotations

import pytest
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MockLLM,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import QueryBundle
from pydantic import Field
from tests.integration.llama_index.corpus import NAMES, TEXTS

from llama_index_trivec import (
    CitedAnswer,
    CitedSynthesizer,
    TrivecRerank,
    TrivecRetriever,
    create_query_engine,
)
from trivec import InputError
from trivec.answers import AnswerOptions
from trivec.chat.prompts import FAILURES, NO_EVIDENCE, REFUSALS
from trivec.rerankers import MaxSimReranker

pytestmark = pytest.mark.parametrize("index", ["edge"], indirect=True)


class Reply(CustomLLM):
    """An LLM that always gives the same reply, word by word."""

    reply: str = "It is a warm drink [1], from China [1][9]."
    ended: str | None = None
    prompts: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):  # noqa: ARG002  # LlamaIndex's form
        self.prompts.append(prompt)
        return CompletionResponse(text=self.reply, raw=self._raw())

    def stream_complete(self, prompt, formatted=False, **kwargs):  # noqa: ARG002  # the same
        self.prompts.append(prompt)
        told = ""
        for word in self.reply.split(" "):
            told += f"{word} "
            yield CompletionResponse(text=told, delta=f"{word} ", raw=self._raw())

    def _raw(self):
        return None if self.ended is None else {"choices": [{"finish_reason": self.ended}]}


@pytest.fixture
def llm() -> Reply:
    return Reply()


@pytest.fixture
def retriever(filled) -> TrivecRetriever:
    return TrivecRetriever(filled.client, similarity_top_k=2)


def cited(response) -> list[tuple[int, str]]:
    return [
        (each["number"], NAMES[each["node_id"]])
        for each in response.metadata["trivec"]["citations"]
    ]


async def test_an_answer_with_its_citations(retriever, llm):
    engine = create_query_engine(retriever, llm)
    for response in (engine.query("green tea"), await engine.aquery("green tea")):
        assert response.response == llm.reply
        assert cited(response) == [(1, "tea")]
        told = response.metadata["trivec"]
        assert (told["unknown"], told["refused"], told["reason"]) == ([9], False, None)
        assert NAMES[response.source_nodes[0].node_id] == "tea"
    assert '<passage number="1">\n' in llm.prompts[0]
    assert TEXTS["tea"] in llm.prompts[0]


async def test_streams(retriever, llm):
    engine = create_query_engine(retriever, llm, streaming=True)
    response = engine.query("green tea")
    assert len(pieces := list(response.response_gen)) > 3
    assert "".join(pieces).strip() == llm.reply
    assert cited(response) == [(1, "tea")]
    response = await engine.aquery("green tea")
    assert "".join([piece async for piece in response.response_gen]).strip() == llm.reply
    assert cited(response) == [(1, "tea")]


async def test_a_streaming_model_is_asked_before_the_stream_is_read(retriever, llm, monkeypatch):
    asked = []

    async def pieces():
        yield ChatResponse(message=ChatMessage("x"), delta="Tea [1].")

    async def astream_chat(_self, _messages, **options):
        asked.append(options)
        return pieces()

    monkeypatch.setattr(Reply, "astream_chat", astream_chat)
    synthesizer = CitedSynthesizer(llm, streaming=True)
    nodes = retriever.retrieve("green tea")
    response = await synthesizer.asynthesize("green tea", nodes, temperature=0.0)
    assert asked == [{"temperature": 0.0}]
    assert "trivec" not in response.metadata
    assert [piece async for piece in response.response_gen] == ["Tea [1]."]
    assert cited(response) == [(1, "tea")]


def test_whoever_stops_listening_stops_the_model(retriever, llm, monkeypatch):
    closed, replies = [], []

    def endless():
        try:
            while True:
                yield ChatResponse(message=ChatMessage("x"), delta="tea ")
        finally:
            closed.append(True)

    def stream_chat(*_arguments, **_options):
        replies.append(endless())
        return replies[-1]

    monkeypatch.setattr(Reply, "stream_chat", stream_chat)
    response = create_query_engine(retriever, llm, streaming=True).query("green tea")
    pieces = response.response_gen
    assert len(replies) == 1  # it was asked at once
    assert [next(pieces), next(pieces)] == ["tea ", "tea "]
    pieces.close()
    assert closed == [True]


async def test_a_streamed_refusal_is_known_before_it_is_read(filled, llm):
    nothing = TrivecRetriever(filled.client, filters={"lang": "fr"})
    streaming = create_query_engine(nothing, llm, streaming=True)
    for response in (streaming.query("what?"), await streaming.aquery("what?")):
        assert response.metadata["trivec"]["reason"] == "no_hits"


@pytest.mark.parametrize(("question", "language"), [("what?", "en"), ("什么？", "zh")])
async def test_without_passages_the_model_is_not_asked(filled, llm, question, language):
    nothing = TrivecRetriever(filled.client, filters={"lang": "fr"})
    engine = create_query_engine(nothing, llm)
    for response in (engine.query(question), await engine.aquery(question)):
        assert response.response == REFUSALS[language]
        told = response.metadata["trivec"]
        assert (told["refused"], told["reason"]) == (True, "no_hits")
    streaming = create_query_engine(nothing, llm, streaming=True)
    assert "".join(streaming.query(question).response_gen) == REFUSALS[language]
    response = await streaming.aquery(question)
    assert [piece async for piece in response.response_gen] == [REFUSALS[language]]
    assert response.metadata["trivec"]["refused"]
    assert llm.prompts == []


def test_weak_evidence_is_refused_after_reranking_only(retriever, llm, encoder):
    rerank = TrivecRerank(MaxSimReranker(encoder))
    strict = create_query_engine(retriever, llm, node_postprocessors=[rerank], min_relevance=0.99)
    response = strict.query("green elephants")
    assert response.metadata["trivec"]["reason"] == "weak_evidence"
    assert llm.prompts == []
    mild = create_query_engine(retriever, llm, node_postprocessors=[rerank], min_relevance=-1.0)
    assert mild.query("green elephants").metadata["trivec"]["refused"] is False
    with pytest.raises(InputError, match="without a reranker"):
        create_query_engine(retriever, llm, min_relevance=0.5)


async def test_the_model_may_refuse(retriever):
    llm = Reply(reply=NO_EVIDENCE)
    response = await create_query_engine(retriever, llm).aquery("what?")
    assert response.response == REFUSALS["en"]
    assert response.metadata["trivec"]["reason"] == "model_refused"
    streamed = create_query_engine(retriever, llm, streaming=True).query("what?")
    assert "".join(streamed.response_gen) == REFUSALS["en"]
    assert streamed.metadata["trivec"]["reason"] == "model_refused"


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("error", "error"),
        ("stop", "empty"),
        (None, "empty"),
    ],
)
@pytest.mark.parametrize("reply", ["", "<think>Is it [1]?"])
async def test_a_model_that_says_nothing_is_not_a_search_without_hits(
    retriever, ended, reason, reply
):
    llm = Reply(reply=reply, ended=ended)
    engine = create_query_engine(retriever, llm)
    for response in (engine.query("what?"), await engine.aquery("what?")):
        assert response.response == FAILURES[reason]["en"]
        assert response.metadata["trivec"]["reason"] == reason
    streaming = create_query_engine(retriever, llm, streaming=True)
    streamed = streaming.query("what?")
    assert "".join(streamed.response_gen) == FAILURES[reason]["en"]
    assert streamed.metadata["trivec"]["reason"] == reason
    streamed = await streaming.aquery("what?")
    assert "".join([piece async for piece in streamed.response_gen]) == FAILURES[reason]["en"]
    assert streamed.metadata["trivec"]["reason"] == reason


@pytest.mark.parametrize("thought", ["<think>Is it [2]?</think>", "Okay, is it [2]?</think> "])
def test_thoughts_are_neither_shown_nor_cited(retriever, thought):
    llm = Reply(reply=f"{thought}It is warm [1].")
    response = create_query_engine(retriever, llm).query("what?")
    assert response.response == "It is warm [1]."
    assert [number for number, _ in cited(response)] == [1]
    streamed = create_query_engine(retriever, llm, streaming=True).query("what?")
    assert "".join(streamed.response_gen).strip() == "It is warm [1]."
    assert [number for number, _ in cited(streamed)] == [1]


def test_an_answer_that_cites_nothing_says_so(retriever):
    response = create_query_engine(retriever, Reply(reply="Surely tea.")).query("what?")
    assert response.metadata["trivec"]["reason"] == "unsupported"
    assert response.metadata["trivec"]["refused"] is False


async def test_in_a_chat_engine(retriever, llm):
    memory = ChatMemoryBuffer.from_defaults(token_limit=4000)  # the default one opens a database
    chat = CondenseQuestionChatEngine.from_defaults(
        create_query_engine(retriever, llm), llm=MockLLM(), memory=memory
    )
    assert chat.chat("what is green tea?").response == llm.reply
    assert (await chat.achat("and now?")).response == llm.reply


SALTY = "Cheese tastes quite salty [1]."


async def test_claims_are_checked_by_the_retrievers_encoder(retriever, llm):
    options = AnswerOptions(min_support=0.5)
    llm.reply = f"It is {TEXTS['tea']} [1]. {SALTY}"
    engine = create_query_engine(retriever, llm, options=options)
    streaming = create_query_engine(retriever, llm, options=options, streaming=True)
    streamed = streaming.query("green tea")
    assert "".join(streamed.response_gen).strip() == llm.reply
    astreamed = await streaming.aquery("green tea")
    assert [piece async for piece in astreamed.response_gen]
    for response in (
        engine.query("green tea"),
        await engine.aquery("green tea"),
        streamed,
        astreamed,
    ):
        claims = response.metadata["trivec"]["claims"]
        assert [claim["supported"] for claim in claims] == [True, False]
        assert claims[0]["support"] > 0.5 > claims[1]["support"]
        assert response.metadata["trivec"]["reason"] is None


async def test_an_unsupported_answer_is_refused_where_that_is_asked_for(retriever):
    options = AnswerOptions(min_support=0.5, refuse_unsupported=True)
    llm = Reply(reply=SALTY)
    engine = create_query_engine(retriever, llm, options=options)
    streaming = create_query_engine(retriever, llm, options=options, streaming=True)
    streamed = streaming.query("green tea")
    assert list(streamed.response_gen) == [REFUSALS["en"]]
    for response in (engine.query("green tea"), await engine.aquery("green tea"), streamed):
        told = response.metadata["trivec"]
        assert (told["refused"], told["reason"]) == (True, "unsupported")
        assert told["claims"][0]["sentence"] == SALTY
    assert engine.query("green tea").response == REFUSALS["en"]


async def test_weak_evidence_needs_no_reranker(retriever, llm):
    engine = create_query_engine(retriever, llm, options=AnswerOptions(min_evidence=0.5))
    for response in (engine.query("quantum physics"), await engine.aquery("quantum physics")):
        assert response.metadata["trivec"]["reason"] == "weak_evidence"
    assert llm.prompts == []
    assert not engine.query(TEXTS["tea"]).metadata["trivec"]["refused"]


def test_a_threshold_needs_something_to_measure_with(index, llm):
    with pytest.raises(InputError, match="ColBERT head"):
        CitedSynthesizer(llm, options=AnswerOptions(min_support=0.5))


def test_the_budget_of_passages_is_kept(retriever, llm):
    engine = create_query_engine(retriever, llm, options=AnswerOptions(max_passages=1))
    response = engine.query("green tea")
    assert llm.prompts[-1].count("</passage>") == 1
    assert len(response.source_nodes) == 2


async def test_a_workflow_gives_what_a_query_engine_does(retriever, llm, encoder):
    synthesizer = CitedSynthesizer(llm, encoder=retriever.index.encoder)
    rerank = TrivecRerank(MaxSimReranker(encoder))
    engine = create_query_engine(retriever, llm, node_postprocessors=[rerank])
    workflow = CitedAnswer(retriever, synthesizer, node_postprocessors=[rerank])
    expected = await engine.aquery("green tea")
    for query in ("green tea", QueryBundle("green tea")):
        response = await workflow.run(query=query)
        assert response.response == expected.response
        assert response.metadata == expected.metadata
        assert [n.node_id for n in response.source_nodes] == [
            n.node_id for n in expected.source_nodes
        ]


async def test_a_workflow_streams_where_its_synthesizer_does(retriever, llm):
    synthesizer = CitedSynthesizer(llm, streaming=True)
    response = await CitedAnswer(retriever, synthesizer).run(query="green tea")
    pieces = [piece async for piece in response.response_gen]
    assert "".join(pieces).strip() == llm.reply
    assert len(pieces) > 3


@pytest.mark.parametrize("given", [{}, {"query": " "}, {"query": 3}])
async def test_a_workflow_needs_a_question(retriever, llm, given):
    with pytest.raises(InputError, match="needs a question"):
        await CitedAnswer(retriever, CitedSynthesizer(llm)).run(**given)
