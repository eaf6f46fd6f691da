"""LangChain's chat models as trivec's: whole, streamed and awaited, with token counts."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from langchain_trivec import LLMChat, TrivecRetriever
from trivec import Chunk, HybridIndex, ModelError
from trivec.protocols import AsyncChatModel, ChatModel
from trivec.rewriting import CorpusVocabulary, FeedbackRewriter, KeywordRewriter
from trivec.types import ChatReply

ASKED = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
USAGE = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
SCHEMA = {"type": "object", "properties": {"keywords": {"type": "array"}}}


class Counted(BaseChatModel):
    """Says "It is so", counts tokens in the last piece, and remembers what it was given."""

    metadata: dict[str, Any] = Field(default_factory=dict)
    given: list[tuple[list[Any], dict[str, Any]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "counted"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):  # noqa: ARG002
        self.given.append((messages, kwargs))
        message = AIMessage(
            [{"type": "text", "text": "It is so"}],
            usage_metadata=USAGE,
            response_metadata=self.metadata,
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):  # noqa: ARG002
        for text in ("It ", "", "is so"):
            yield ChatGenerationChunk(message=AIMessageChunk(text))
        halves = [{**USAGE, "output_tokens": 0, "total_tokens": 5}, {**USAGE, "input_tokens": 0}]
        for usage in halves:
            last = AIMessageChunk("", usage_metadata=usage, response_metadata=self.metadata)
            yield ChatGenerationChunk(message=last)


async def pieces_of(chat, *, streamed, awaited) -> list[ChatReply]:
    if streamed:
        return [each async for each in chat.astream(ASKED)] if awaited else list(chat.stream(ASKED))
    return [await chat.achat(ASKED) if awaited else chat.chat(ASKED)]


BOTH = pytest.mark.parametrize("awaited", [False, True])


def test_it_keeps_both_protocols():
    chat = LLMChat(Counted())
    assert isinstance(chat, ChatModel)
    assert isinstance(chat, AsyncChatModel)


@BOTH
async def test_a_whole_answer_with_its_token_counts(awaited):
    llm = Counted()
    assert await pieces_of(LLMChat(llm), streamed=False, awaited=awaited) == [
        ChatReply("It is so", 5, 3)
    ]
    assert [message.type for message in llm.given[0][0]] == ["system", "human"]


@BOTH
async def test_pieces_then_the_counts(awaited):
    assert await pieces_of(LLMChat(Counted()), streamed=True, awaited=awaited) == [
        ChatReply("It "),
        ChatReply("is so"),
        ChatReply("", 5, 3),
    ]


@BOTH
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("said", "truncated"),
    [
        ({"finish_reason": "length"}, True),
        ({"stop_reason": "max_tokens"}, True),
        ({"done_reason": "length"}, True),
        ({"finish_reason": "stop"}, False),
    ],
)
async def test_an_answer_that_was_cut_off(said, truncated, streamed, awaited):
    pieces = await pieces_of(LLMChat(Counted(metadata=said)), streamed=streamed, awaited=awaited)
    assert pieces[-1].truncated is truncated


@BOTH
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reply", ["<think>yes?</think>no", "Okay, yes?</think>no"])
async def test_thoughts_are_left_out(reply, streamed, awaited):
    chat = LLMChat(FakeListChatModel(responses=[reply]))
    pieces = await pieces_of(chat, streamed=streamed, awaited=awaited)
    assert "".join(piece.text for piece in pieces) == "no"


@BOTH
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", "error"])
async def test_what_ended_an_answer(reason, streamed, awaited):
    chat = LLMChat(Counted(metadata={"finish_reason": reason}))
    assert (await pieces_of(chat, streamed=streamed, awaited=awaited))[-1].ended == reason


@BOTH
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_model_that_counts_nothing(streamed, awaited):
    chat = LLMChat(FakeListChatModel(responses=["yes"]))
    pieces = await pieces_of(chat, streamed=streamed, awaited=awaited)
    assert "".join(piece.text for piece in pieces) == "yes"
    assert pieces[-1].input_tokens is pieces[-1].output_tokens is None


@BOTH
async def test_a_schema_goes_to_models_that_take_one(awaited):
    plain, structured = Counted(), Counted()
    for llm, chat in (
        (plain, LLMChat(plain)),
        (structured, LLMChat(structured, structured=True)),
    ):
        ask = chat.achat(ASKED, schema=SCHEMA) if awaited else None
        _ = await ask if ask is not None else chat.chat(ASKED, schema=SCHEMA)
        assert len(llm.given) == 1
    assert plain.given[0][1] == {}
    wanted = structured.given[0][1]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"] == SCHEMA


@pytest.fixture
def index(tmp_path, encoder):
    with HybridIndex.open(tmp_path / "kb", encoder) as opened:
        texts = {"tea": "oolong is a tea", "cat": "the cat sleeps", "milk": "lactase digests milk"}
        opened.add([Chunk(text, id=name) for name, text in texts.items()])
        yield opened


@BOTH
async def test_the_retriever_searches_for_sub_questions_too(awaited, index):
    reply = '{"keywords": ["oolong"], "sub_questions": ["which cat sleeps?"]}'
    llm = FakeListChatModel(responses=[reply])
    rewriter = KeywordRewriter(LLMChat(llm), max_sub_questions=1)
    # the fake encoder's dense vectors mean nothing
    retriever = TrivecRetriever(index=index, k=2, rewriter=rewriter, fusion="dbsf")
    found = await retriever.ainvoke("xyz") if awaited else retriever.invoke("xyz")
    assert {document.id for document in found} == {"tea", "cat"}


@BOTH
async def test_the_retriever_takes_the_corpuss_own_words(awaited, index, encoder):
    rewriter = FeedbackRewriter(CorpusVocabulary(index, passages=1))
    retriever = TrivecRetriever(index=index, k=1, rewriter=rewriter)
    found = await retriever.ainvoke("milk") if awaited else retriever.invoke("milk")
    assert [document.id for document in found] == ["milk"]


@BOTH
async def test_a_model_that_fails_fails_the_retriever(awaited, index):
    class Broken(Counted):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):  # noqa: ARG002
            raise RuntimeError

    retriever = TrivecRetriever(index=index, rewriter=KeywordRewriter(LLMChat(Broken())))
    with pytest.raises(ModelError, match="RuntimeError"):
        _ = await retriever.ainvoke("q") if awaited else retriever.invoke("q")
