"""One question put to a chat model: begun, listened to, and ended whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from trivec.protocols import AsyncChatModel, ChatModel
from trivec.types import ChatReply

__all__ = ["AsyncConversation", "Conversation", "InThread", "Talk"]

T = TypeVar("T")
Messages = Sequence[Mapping[str, str]]


class Conversation:
    """With a :class:`ChatModel`, in this thread.

    Args:
        chat: the model.
        streamed: whether the reply comes in pieces, or as one.
    """

    def __init__(self, chat: ChatModel, *, streamed: bool) -> None:
        self._chat = chat
        self._streamed = streamed
        self._replies: Iterator[ChatReply] = iter(())

    def ask(self, messages: Messages) -> None:
        """Begin."""
        if self._streamed:
            self._replies = iter(self._chat.stream(messages))
        else:
            self._replies = iter([self._chat.chat(messages)])

    def next(self) -> ChatReply | None:
        """Return the next piece; None at the end."""
        return next(self._replies, None)

    def close(self) -> None:
        """End the reply where it goes on."""
        _close(self._replies)


class AsyncConversation:
    """With an :class:`AsyncChatModel`, on the event loop; otherwise as ``Conversation``."""

    def __init__(self, chat: AsyncChatModel, *, streamed: bool) -> None:
        self._chat = chat
        self._streamed = streamed
        self._replies: AsyncIterator[ChatReply] | None = None

    async def ask(self, messages: Messages) -> None:
        """Begin."""
        if self._streamed:
            self._replies = aiter(self._chat.astream(messages))
        else:
            self._replies = _once(await self._chat.achat(messages))

    async def next(self) -> ChatReply | None:
        """Return the next piece; None at the end."""
        return None if self._replies is None else await anext(self._replies, None)

    async def aclose(self) -> None:
        """End the reply where it goes on."""
        close = getattr(self._replies, "aclose", None)
        if close is not None:
            await close()


class InThread:
    """A ``Conversation`` whose calls run in worker threads, as an asynchronous one."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._running: asyncio.Future[Any] | None = None

    async def ask(self, messages: Messages) -> None:
        """Begin."""
        await self._call(lambda: self._conversation.ask(messages))

    async def next(self) -> ChatReply | None:
        """Return the next piece; None at the end."""
        return await self._call(self._conversation.next)

    async def aclose(self) -> None:
        """End the reply; where a thread still waits for a piece, once it has come."""
        running = self._running
        if running is None or running.done():
            await asyncio.to_thread(self._conversation.close)
        else:
            running.add_done_callback(self._end)

    def _end(self, running: asyncio.Future[Any]) -> None:
        if not running.cancelled():
            running.exception()  # seen, so that the loop does not complain; nobody waits for it
        self._conversation.close()

    async def _call(self, function: Callable[[], T]) -> T:
        # a thread cannot be cancelled: it is left to end by itself, and remembered until then
        self._running = asyncio.ensure_future(asyncio.to_thread(function))
        return await asyncio.shield(self._running)


Talk = AsyncConversation | InThread


def _close(replies: Iterator[ChatReply]) -> None:
    close = getattr(replies, "close", None)
    if close is not None:
        close()


async def _once(reply: ChatReply) -> AsyncIterator[ChatReply]:
    yield reply
