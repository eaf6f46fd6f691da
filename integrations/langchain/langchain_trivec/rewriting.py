"""LangChain's chat models for trivec's keyword rewriting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages

from trivec.types import ChatReply

__all__ = ["LLMChat"]


class LLMChat:
    """A LangChain chat model as a :class:`trivec.ChatModel`.

    Args:
        llm: any chat model.

    Example:
        >>> from trivec.rag.rewriting import KeywordRewriter
        >>> rewriter = KeywordRewriter(LLMChat(llm))  # doctest: +SKIP
        >>> TrivecRetriever(index=index, rewriter=rewriter)  # doctest: +SKIP
    """

    def __init__(self, llm: BaseChatModel) -> None:
        self._llm = llm

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer."""
        told = convert_to_messages([dict(each) for each in messages])
        return ChatReply(str(self._llm.invoke(told).text))
