"""LangChain's chat models for trivec's keyword rewriting and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.runnables import RunnableConfig

from trivec.adapters import aending, ending
from trivec.chat import Listener, ending_of, reply_of, response_format, said, text_of
from trivec.types import ChatReply, Ending

__all__ = ["LLMChat"]


class LLMChat:
    """A LangChain chat model as trivec's chat model, called and awaited.

    It is a :class:`trivec.protocols.ChatModel` and a :class:`trivec.protocols.AsyncChatModel`.
    Token counts are those of ``usage_metadata``, where the model gives it. Thoughts are left out,
    as tags in the text and as blocks of their own.

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
        yield from seen.last()

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
        for reply in seen.last():
            yield reply

    def _format(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        if schema is None or not self._structured:
            return {}
        return {"response_format": response_format(schema)}


_REASONS = ("finish_reason", "stop_reason", "done_reason", "stopReason")


class _Seen:
    """What the messages of a stream have said."""

    def __init__(self) -> None:
        self._usage: UsageMetadata | None = None
        self._ended: Ending | None = None
        self._listener = Listener()

    def text_of(self, given: AIMessage | str) -> str:
        message = _message(given)
        if message.usage_metadata is not None:
            self._usage = add_usage(self._usage, message.usage_metadata)
        self._ended = _ended(message) or self._ended
        return self._listener.feed(_text(message))

    def last(self) -> list[ChatReply]:
        rest = self._listener.finish()
        end = _counted("", self._usage, self._ended)
        return [ChatReply(rest), end] if rest else [end]


def _messages(messages: Sequence[Mapping[str, str]]) -> list[BaseMessage]:
    return convert_to_messages([dict(message) for message in messages])


def _message(given: AIMessage | str) -> AIMessage:
    """Return what a model gave as a message; models that complete texts give texts."""
    return AIMessage(given) if isinstance(given, str) else given


def _text(message: AIMessage) -> str:
    return text_of(message.content) or text_of(message.additional_kwargs.get("refusal"))


def _reply(given: AIMessage | str) -> ChatReply:
    message = _message(given)
    return _counted(said(_text(message)), message.usage_metadata, _ended(message))


def _counted(text: str, usage: UsageMetadata | None, ended: Ending | None) -> ChatReply:
    read, wrote = (None, None) if usage is None else (usage["input_tokens"], usage["output_tokens"])
    return reply_of(text, ended, read, wrote)


def _ended(message: AIMessage) -> Ending | None:
    """Return what ended a message, by any provider's name for it."""
    told = message.response_metadata
    reasons = [told.get(key) for key in _REASONS]
    details = told.get("incomplete_details")  # OpenAI's responses
    reasons += [details.get("reason")] if isinstance(details, Mapping) else []
    ended = next((known for reason in reasons if (known := ending_of(reason))), None)
    return ended or ("tool_calls" if message.tool_calls and not message.content else None)
