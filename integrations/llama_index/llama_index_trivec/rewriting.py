"""Keyword rewriting as a LlamaIndex query transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.schema import QueryBundle
from llama_index.core.settings import Settings

from llama_index_trivec._convert import chat_messages
from trivec.rag.prompts import Language
from trivec.rag.rewriting import KEYWORD_INSTRUCTIONS, KeywordRewriter
from trivec.types import ChatReply

__all__ = ["KeywordQueryTransform", "LLMChat"]


class LLMChat:
    """A LlamaIndex LLM as a :class:`trivec.ChatModel`.

    Args:
        llm: any LlamaIndex LLM.
    """

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer."""
        return ChatReply(self._llm.chat(chat_messages(messages)).message.content or "")


class KeywordQueryTransform(BaseQueryTransform):
    """Adds the domain's words for a question, found by an LLM, to the query.

    ``query_str`` stays the question. ``custom_embedding_strs`` becomes the question and its
    keywords: :class:`TrivecRetriever` searches for both on every arm, sparse and BM25 included
    (LlamaIndex's own retrievers average their dense vectors and leave the sparse arm out). What a
    transform before this one put there stays.

    Its prompts, ``keyword_instructions_en`` and ``keyword_instructions_zh``, can be read and
    updated as LlamaIndex's own; ``{count}`` in them is the most keywords.

    Args:
        llm: any LlamaIndex LLM; None takes ``Settings.llm``.
        max_keywords: how many are used at most.
        language: of the instructions; None follows the question.
        on_error: what becomes of an LLM that fails: ``raise``, or ``question`` searches for the
            question alone.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        max_keywords: int = 8,
        language: Language | None = None,
        on_error: Literal["raise", "question"] = "raise",
    ) -> None:
        super().__init__()
        self._chat = LLMChat(llm or Settings.llm)
        self._max_keywords = max_keywords
        self._language = language
        self._on_error = on_error
        self._instructions: dict[Language, str] = dict(KEYWORD_INSTRUCTIONS)
        self._rewriter = self._build()

    def _build(self) -> KeywordRewriter:
        return KeywordRewriter(
            self._chat,
            max_keywords=self._max_keywords,
            instructions=self._instructions,
            language=self._language,
            on_error=self._on_error,
        )

    def _get_prompts(self) -> PromptDictType:
        return {
            f"keyword_instructions_{language}": PromptTemplate(text)
            for language, text in self._instructions.items()
        }

    def _update_prompts(self, prompts: PromptDictType) -> None:
        for language in self._instructions:
            if (prompt := prompts.get(f"keyword_instructions_{language}")) is not None:
                self._instructions[language] = prompt.get_template()
        self._rewriter = self._build()

    def _run(self, query_bundle: QueryBundle, metadata: dict[str, Any]) -> QueryBundle:  # noqa: ARG002
        rewrite = self._rewriter.rewrite(query_bundle.query_str)
        earlier = query_bundle.custom_embedding_strs or []
        texts = dict.fromkeys([rewrite.question, *earlier, *rewrite.texts[1:]])
        return QueryBundle(
            query_str=query_bundle.query_str,
            image_path=query_bundle.image_path,
            custom_embedding_strs=list(texts),
        )
