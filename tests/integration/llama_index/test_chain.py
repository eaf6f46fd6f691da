"""The query engine: citations that exist, refusals with a reason, streams."""

from __future__ import annotations

import pytest
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import Field
from tests.integration.llama_index.corpus import NAMES, TEXTS

from llama_index_trivec import TrivecRerank, TrivecRetriever, create_query_engine
from trivec import InputError
from trivec.rag.prompts import NO_EVIDENCE, REFUSALS
from trivec.rerankers import MaxSimReranker

pytestmark = pytest.mark.parametrize("index", ["edge"], indirect=True)


class Reply(CustomLLM):
    """An LLM that always gives the same reply, word by word."""

    reply: str = "It is a warm drink [1], from China [1][9]."
    prompts: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):  # noqa: ARG002  # LlamaIndex's form
        self.prompts.append(prompt)
        return CompletionResponse(text=self.reply)

    def stream_complete(self, prompt, formatted=False, **kwargs):  # noqa: ARG002  # the same
        self.prompts.append(prompt)
        told = ""
        for word in self.reply.split(" "):
            told += f"{word} "
            yield CompletionResponse(text=told, delta=f"{word} ")


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
