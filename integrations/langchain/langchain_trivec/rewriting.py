"""LangChain's chat models for trivec's keyword rewriting and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.runnables import RunnableConfig

from trivec.adapters import aending, ending
from trivec.chat import response_format
from trivec.types import ChatReply

__all__ = ["LLMChat"]

CUT_OFF = frozenset({"length", "max_tokens", "MAX_TOKENS"})
"""How providers say that an answer came to its limit of tokens."""


class LLMChat:
    """A LangChain chat model as trivec's chat model, called and awaited.

    It is a :class:`trivec.protocols.ChatModel` and a :class:`trivec.protocols.AsyncChatModel`.
    Token counts are those of ``usage_metadata``, where the model gives it.

    Args:
        llm: any chat model.
        structured: pass a JSON schema on as OpenAI's ``response_format``, which ``ChatOpenAI`` and
            its kin take; without it the model is asked in words alone.
        config: callbacks, tags and the rest that every call of the model is given.

    Example:
        >>> from trivec import KeywordRewriter
        >>> rewriter = KeywordRewriter(LLMChat(llm))  # doctest: +SKIP
        >>> TrivecRetriever(index=index, rewriter=rewriter)  # doctest: +SKIP
    """

    def __init__(
        self,
        llm: BaseChatModel,
        *,
        structured: bool = False,
        config: RunnableConfig | None = None,
    ) -> None:
        self._llm = llm
        self._structured = structured
        self._config = config

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        """Yield the answer piece by piece."""
        seen = _Seen()
        with ending(self._llm.stream(_messages(messages), self._config)) as pieces:
            for message in pieces:
                if text := seen.text_of(message):
                    yield ChatReply(text)
        yield seen.last()

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer."""
        return _reply(self._llm.invoke(_messages(messages), self._config, **self._format(schema)))

    async def achat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer."""
        return _reply(
            await self._llm.ainvoke(_messages(messages), self._config, **self._format(schema))
        )

    async def astream(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[ChatReply]:
        """Yield the answer piece by piece."""
        seen = _Seen()
        async with aending(self._llm.astream(_messages(messages), self._config)) as pieces:
            async for message in pieces:
                if text := seen.text_of(message):
                    yield ChatReply(text)
        yield seen.last()

    def _format(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        if schema is None or not self._structured:
            return {}
        return {"response_format": response_format(schema)}


class _Seen:
    """What the messages of a stream have said besides their text."""

    def __init__(self) -> None:
        self._usage: UsageMetadata | None = None
        self._cut_off = False

    def text_of(self, message: AIMessage) -> str:
        if message.usage_metadata is not None:
            self._usage = add_usage(self._usage, message.usage_metadata)
        self._cut_off |= _cut_off(message)
        return str(message.text)

    def last(self) -> ChatReply:
        return _counted("", self._usage, truncated=self._cut_off)


def _messages(messages: Sequence[Mapping[str, str]]) -> list[BaseMessage]:
    return convert_to_messages([dict(each) for each in messages])


def _reply(message: AIMessage) -> ChatReply:
    return _counted(str(message.text), message.usage_metadata, truncated=_cut_off(message))


def _counted(text: str, usage: UsageMetadata | None, *, truncated: bool) -> ChatReply:
    if usage is None:
        return ChatReply(text, truncated=truncated)
    return ChatReply(text, usage["input_tokens"], usage["output_tokens"], truncated)


def _cut_off(message: AIMessage) -> bool:
    said = message.response_metadata
    keys = ("finish_reason", "stop_reason", "done_reason")
    return any(said.get(key) in CUT_OFF for key in keys)
