"""The query transform: keywords beside the question, prompts that can be changed."""

from __future__ import annotations

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine, TransformQueryEngine
from llama_index.core.schema import QueryBundle
from pydantic import Field
from tests.integration.llama_index.corpus import NAMES

from llama_index_trivec import KeywordQueryTransform, TrivecRetriever
from trivec import ModelError


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
    assert bundle.custom_embedding_strs == ["what do people drink?", "oolong green tea"]


def test_what_an_earlier_transform_wrote_stays():
    given = QueryBundle("q?", custom_embedding_strs=["a hypothetical answer"])
    bundle = KeywordQueryTransform(Keywords()).run(given)
    assert bundle.custom_embedding_strs == ["q?", "a hypothetical answer", "oolong green tea"]
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
