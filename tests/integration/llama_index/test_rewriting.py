"""The query transform: keywords beside the question, prompts that can be changed."""

from __future__ import annotations

import pytest
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MockLLM,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine, TransformQueryEngine
from llama_index.core.schema import QueryBundle
from pydantic import Field
from tests.integration.llama_index.corpus import NAMES

from llama_index_trivec import KeywordQueryTransform, TrivecRetriever
from llama_index_trivec._searching import query_texts
from llama_index_trivec.rewriting import LLMChat
from trivec import ModelError, QueryText
from trivec.protocols import AsyncChatModel, ChatModel
from trivec.rewriting import CorpusVocabulary, RewriteExample, RewriteWeights
from trivec.types import ChatReply


class Keywords(CustomLLM):
    """An LLM that always gives the same reply."""

    reply: str = '["oolong", "green tea"]'
    prompts: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):  # noqa: ARG002  # LlamaIndex's form
        self.prompts.append(prompt)
        if self.reply == "fail":
            raise RuntimeError
        return CompletionResponse(text=self.reply)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        yield self.complete(prompt, formatted, **kwargs)


def test_keywords_stand_beside_the_question():
    bundle = KeywordQueryTransform(Keywords()).run("what do people drink?")
    assert bundle.query_str == "what do people drink?"
    assert bundle.custom_embedding_strs == [
        "what do people drink?",
        "what do people drink? oolong green tea",
    ]


def test_what_an_earlier_transform_wrote_stays():
    given = QueryBundle("q?", custom_embedding_strs=["a hypothetical answer"])
    bundle = KeywordQueryTransform(Keywords()).run(given)
    assert bundle.custom_embedding_strs == [
        "q?",
        "a hypothetical answer",
        "q? oolong green tea",
    ]
    assert given.custom_embedding_strs == ["a hypothetical answer"]


def test_a_model_without_keywords_leaves_the_question():
    bundle = KeywordQueryTransform(Keywords(reply="[]")).run("q?")
    assert bundle.custom_embedding_strs == ["q?"]


def test_a_failing_model():
    with pytest.raises(ModelError, match="RuntimeError"):
        KeywordQueryTransform(Keywords(reply="fail")).run("q?")
    bundle = KeywordQueryTransform(Keywords(reply="fail"), on_error="question").run("q?")
    assert bundle.custom_embedding_strs == ["q?"]


def test_prompts_can_be_read_and_changed():
    llm = Keywords()
    transform = KeywordQueryTransform(llm, max_keywords=2)
    assert set(transform.get_prompts()) == {
        "keyword_instructions_en",
        "keyword_instructions_zh",
    }
    changed = PromptTemplate("Give {count} words of botany.")
    transform.update_prompts({"keyword_instructions_en": changed})
    transform.run("which flower?")
    assert "Give 2 words of botany." in llm.prompts[-1]


async def test_the_keywords_find_what_the_question_does_not(filled):
    transform = KeywordQueryTransform(Keywords())
    plain = TrivecRetriever(filled.client, similarity_top_k=1, filters={"lang": "en"})
    told = TrivecRetriever(
        filled.client, similarity_top_k=1, filters={"lang": "en"}, query_transform=transform
    )
    question = "qqq?"
    for found in (told.retrieve(question), await told.aretrieve(question)):
        assert NAMES[found[0].node_id] == "tea"
    engine = TransformQueryEngine(
        RetrieverQueryEngine.from_args(plain, llm=MockLLM()), query_transform=transform
    )
    assert NAMES[engine.query(question).source_nodes[0].node_id] == "tea"


def test_arms_and_weights_are_kept():
    reply = '{"keywords": ["oolong"], "sub_questions": ["which tea?"]}'
    weights = RewriteWeights(question=2, keywords=0.5, sub_questions=0.25)
    transform = KeywordQueryTransform(Keywords(reply=reply), max_sub_questions=2, weights=weights)
    given = QueryBundle("q?", custom_embedding_strs=["a hypothetical answer"])
    bundle = transform.run(given)
    assert query_texts(bundle) == [
        QueryText("q?", arms=("dense", "colbert"), weight=2),
        QueryText("a hypothetical answer"),
        QueryText("q? oolong", arms=("sparse", "bm25"), weight=0.5),
        QueryText("which tea?", weight=0.25),
    ]
    assert bundle.custom_embedding_strs == [
        "q?",
        "a hypothetical answer",
        "q? oolong",
        "which tea?",
    ]


def test_two_transforms_add_up():
    first = KeywordQueryTransform(Keywords(reply='["tea"]')).run("q?")
    texts = query_texts(KeywordQueryTransform(Keywords(reply='["milk"]')).run(first))
    assert [(text.text, text.arms) for text in texts] == [
        ("q?", ("dense", "colbert")),
        ("q? tea", ("sparse", "bm25")),
        ("q? milk", ("sparse", "bm25")),
    ]


def test_domain_examples_and_the_corpuss_words_reach_the_model(filled):
    llm = Keywords()
    transform = KeywordQueryTransform(
        llm,
        domain="drinks",
        examples=[RewriteExample("what to sip?", ("beverage",))],
        vocabulary=CorpusVocabulary(filled.client, agreement=0),
    )
    transform.run("what do people drink?")
    assert "The documents are about: drinks." in llm.prompts[-1]
    assert "what to sip?" in llm.prompts[-1]
    assert "<terms>" in llm.prompts[-1]


class Raw(Keywords):
    """Streams three pieces; the last raw response counts tokens, as OpenAI's does."""

    raws: list[object] = Field(default_factory=list)
    options: list[dict] = Field(default_factory=list)

    def _response(self, text, delta=None) -> ChatResponse:
        message = ChatMessage(role="assistant", content=text)
        return ChatResponse(message=message, delta=delta, raw=self.raws[0] if self.raws else None)

    def chat(self, messages, **kwargs):  # noqa: ARG002  # LlamaIndex's form
        self.options.append(kwargs)
        return self._response("It is so")

    async def achat(self, messages, **kwargs):
        return self.chat(messages, **kwargs)

    def stream_chat(self, messages, **kwargs):  # noqa: ARG002  # LlamaIndex's form
        yield from (self._response("It is so", delta) for delta in ("It ", "", "is so"))

    async def astream_chat(self, messages, **kwargs):
        async def pieces():
            for each in self.stream_chat(messages, **kwargs):
                yield each

        return pieces()


ASKED = [{"role": "user", "content": "hi"}]
BOTH = pytest.mark.parametrize("awaited", [False, True])


async def pieces_of(chat, *, streamed, awaited) -> list[ChatReply]:
    if streamed:
        return [each async for each in chat.astream(ASKED)] if awaited else list(chat.stream(ASKED))
    return [await chat.achat(ASKED) if awaited else chat.chat(ASKED)]


def test_an_llm_keeps_both_protocols():
    chat = LLMChat(Raw())
    assert isinstance(chat, ChatModel)
    assert isinstance(chat, AsyncChatModel)


@BOTH
@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 3}}, (5, 3, False)),
        (
            {
                "usage": {"prompt_tokens": 5, "completion_tokens": 3},
                "choices": [{"finish_reason": "length"}],
            },
            (5, 3, True),
        ),
        (None, (None, None, False)),
        ({}, (None, None, False)),
        (object(), (None, None, False)),
    ],
)
async def test_answers_and_their_token_counts(raw, counts, awaited):
    chat = LLMChat(Raw(raws=[raw]))
    whole = await pieces_of(chat, streamed=False, awaited=awaited)
    assert whole == [ChatReply("It is so", *counts)]
    pieces = await pieces_of(chat, streamed=True, awaited=awaited)
    assert pieces == [ChatReply("It "), ChatReply("is so"), ChatReply("", *counts)]


@BOTH
async def test_a_schema_goes_to_llms_that_take_one(awaited):
    schema = {"type": "object"}
    plain, structured = Raw(), Raw()
    for chat in (LLMChat(plain), LLMChat(structured, structured=True)):
        _ = await chat.achat(ASKED, schema=schema) if awaited else chat.chat(ASKED, schema=schema)
    assert plain.options == [{}]
    wanted = structured.options[0]["response_format"]
    assert wanted["json_schema"]["schema"] == schema
