"""The pipeline over real HTTP: the openai client, a server on the loopback address, an index."""

from __future__ import annotations

import pytest

from trivec import (
    AnswerInterruptedError,
    AsyncHybridIndex,
    Chunk,
    HybridIndex,
    ModelUnavailableError,
    RagOptions,
    RagPipeline,
)
from trivec.chat import OpenAIChat
from trivec.chat.prompts import NO_EVIDENCE
from trivec.rewriting import KeywordRewriter
from trivec.testing import FakeEncoder

QUESTION = "what is green tea?"
REPLY = "Green tea is a warm drink from China [1]."


@pytest.fixture
def index(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add(
            [
                Chunk("Green tea is a warm drink from China.", id="tea"),
                Chunk("The cat sleeps on the sofa.", id="cat"),
            ]
        )
        yield index


@pytest.fixture
def chat(openai_server):
    chat = OpenAIChat.connect("m", base_url=openai_server.base_url, api_key="k", max_retries=0)
    yield chat
    chat.close()


async def test_every_way_over_http(index, chat, openai_server):
    options = RagOptions(min_support=0.6)
    rag = RagPipeline(AsyncHybridIndex(index), chat, options=options)
    for _ in range(4):
        openai_server.answer(REPLY)
    *pieces, streamed = rag.stream(QUESTION)
    *apieces, astreamed = [event async for event in rag.astream(QUESTION)]
    answers = [rag.answer(QUESTION), await rag.aanswer(QUESTION), streamed, astreamed]
    for answer in answers:
        assert answer.text == REPLY
        assert [passage.hit.id for passage in answer.cited] == ["tea"]
        assert [claim.supported for claim in answer.claims] == [True]
        assert (answer.input_tokens, answer.output_tokens) == (11, 7)
        assert not answer.truncated
    for shown in (pieces, apieces):
        assert len(shown) > 3
        assert "".join(piece.text for piece in shown) == REPLY
    await chat.aclose()


def test_rewriting_and_answering_by_one_model(index, chat, openai_server):
    openai_server.answer('{"keywords": ["sofa"]}')
    openai_server.answer(REPLY)
    answer = RagPipeline(index, chat, rewriter=KeywordRewriter(chat)).answer(QUESTION)
    assert answer.rewrite.keywords == ("sofa",)
    assert answer.text == REPLY
    assert len(openai_server.requests) == 2


def test_a_refusal_over_http(index, chat, openai_server):
    openai_server.answer(NO_EVIDENCE)
    answer = RagPipeline(index, chat).answer(QUESTION)
    assert (answer.refused, answer.reason) == (True, "model_refused")


def test_a_limit_of_tokens_is_told(index, chat, openai_server):
    openai_server.answer("Green tea is", finish_reason="length")
    assert RagPipeline(index, chat).answer(QUESTION).truncated


def test_a_stream_that_breaks_off_keeps_what_was_said(index, chat, openai_server):
    openai_server.break_off(["Green ", "tea ", "is "])
    seen = []
    with pytest.raises(AnswerInterruptedError) as failure:
        seen.extend(piece.text for piece in RagPipeline(index, chat).stream(QUESTION))
    assert "".join(seen) == failure.value.partial
    assert failure.value.partial.startswith("Green tea")
    assert isinstance(failure.value.__cause__, ModelUnavailableError)


def test_a_server_that_fails_is_named(index, chat, openai_server):
    openai_server.fail(500)
    with pytest.raises(ModelUnavailableError):
        RagPipeline(index, chat).answer(QUESTION)
