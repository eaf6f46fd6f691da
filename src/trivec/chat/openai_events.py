"""What an OpenAI-compatible server answers with, read tolerantly: whole answers and streams."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any

from trivec.chat.listening import Listener, ending_of, reply_of, text_of
from trivec.chat.openai_errors import Failures, error_in
from trivec.errors import ModelError
from trivec.types import ChatReply

__all__ = ["Events", "whole_reply"]

_DONE = re.compile(rb"(?:^|\n)data:[ \t]{0,9}\[DONE\]")
_COUNTS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


def whole_reply(
    answer: Any, listener: Listener, failures: Failures, request: Mapping[str, Any]
) -> ChatReply:
    """Return the reply in a whole answer.

    Args:
        answer: the client's object, a dict, or the text of a JSON document.
        listener: leaves out the thoughts.
        failures: makes errors.
        request: what was sent.

    Raises:
        ModelError: it is an error, or not a chat completion.
    """
    if isinstance(answer, (str, bytes)):
        try:
            answer = json.loads(answer)
        except ValueError:
            answer = None
    choice = _first(_get(answer, "choices"))
    if choice is None:
        held = answer[0] if isinstance(answer, list) and answer else answer  # a list is Gemini's
        if (error := error_in(_body(held))) is not None:
            raise failures.in_body(error, request)
        raise ModelError(
            "the server's answer is not a chat completion; check base_url, which ends in /v1"
        )
    if isinstance(failed := _get(choice, "error"), Mapping):
        raise failures.in_body({"error": failed}, request)
    message = _get(choice, "message")
    listener.feed(_text_in(message) or text_of(_get(choice, "text")))
    listener.finish()
    reason = "tool_calls" if _asks_for_tool(message) else _get(choice, "finish_reason")
    return _reply(listener.text, _get(answer, "usage"), reason)


class Events:
    """The events of a stream, read one after the other.

    Args:
        response: the HTTP response that they come in.
        listener: leaves out the thoughts.
        failures: makes errors.
        request: what was sent.

    Attributes:
        is_whole: whether the server answered with one JSON document instead.
        is_over: whether the last piece was read.
    """

    def __init__(
        self, response: Any, listener: Listener, failures: Failures, request: Mapping[str, Any]
    ) -> None:
        self.listener = listener
        headers = getattr(response, "headers", None) or {}
        self.is_whole = "json" in headers.get("content-type", "").lower()
        self.is_over = False
        self._failures = failures
        self._request = request
        self._usage: Any = None
        self._ended: str | None = None
        self._index: object = None  # of the first choice; others are other answers
        self._has_text = self._asked_for_tool = False
        self._tail = b""
        self._is_done = False
        if response is not None:
            self._watch(response)

    def read_whole(self, body: bytes) -> list[ChatReply]:
        """Return the pieces of an answer that came as one document."""
        self.is_over = True
        reply = whole_reply(body, self.listener, self._failures, self._request)
        end = replace(reply, text="")
        return [ChatReply(reply.text), end] if reply.text else [end]

    def read(self, event: Any) -> list[ChatReply]:
        """Return the pieces that an event adds to the answer.

        Args:
            event: the client's object; None at the end.

        Raises:
            ModelError: it is an error.
            ConnectionError: the server never said that the answer is whole.
        """
        if event is None:
            return self._last()
        self._usage = _get(event, "usage") or self._usage
        choice = _first(_get(event, "choices"))
        for holder in (event, choice):
            if isinstance(error := _get(holder, "error"), Mapping):
                raise self._failures.in_body({"error": error}, self._request)
        if _get(event, "object") == "error":  # vLLM's
            raise self._failures.in_body(_body(event), self._request)
        if choice is None or not self._is_ours(choice):  # it counts tokens, or tells of filters
            return []
        self._ended = _get(choice, "finish_reason") or self._ended
        delta = _get(choice, "delta") or (None if self._has_text else _get(choice, "message"))
        if any(_get(delta, name) for name in _THOUGHTS):
            self.listener.trust()
        self._asked_for_tool |= _asks_for_tool(delta)
        text = _text_in(delta) or text_of(_get(choice, "text"))
        self._has_text |= bool(text)
        shown = self.listener.feed(text)
        return [ChatReply(shown)] if shown else []

    def _is_ours(self, choice: Any) -> bool:
        index = _get(choice, "index")
        self._index = index if self._index is None else self._index
        return bool(index is None or index == self._index)

    def _last(self) -> list[ChatReply]:
        """Return what was held back, and the empty piece with the counts."""
        if self._ended is None and not self._is_done:
            raise ConnectionError
        self.is_over = True
        rest = self.listener.finish()
        asked_for_tool = self._asked_for_tool and not self._has_text
        end = _reply("", self._usage, "tool_calls" if asked_for_tool else self._ended)
        return [ChatReply(rest), end] if rest else [end]

    def _watch(self, response: Any) -> None:
        """Notice the protocol's last line, which the client keeps for itself."""
        plain: Any = getattr(response, "iter_bytes", None)
        aplain: Any = getattr(response, "aiter_bytes", None)

        def iter_bytes(*args: Any) -> Iterator[bytes]:
            for data in plain(*args):
                self._notice(data)
                yield data

        async def aiter_bytes(*args: Any) -> AsyncIterator[bytes]:
            async for data in aplain(*args):
                self._notice(data)
                yield data

        response.iter_bytes, response.aiter_bytes = iter_bytes, aiter_bytes

    def _notice(self, data: bytes) -> None:
        seen = self._tail + data
        self._is_done = self._is_done or _DONE.search(seen) is not None
        self._tail = seen[-32:]


def _reply(text: str, usage: Any, finish_reason: object) -> ChatReply:
    read, wrote = (
        next((count for name in names if (count := _get(usage, name)) is not None), None)
        for names in _COUNTS
    )
    return reply_of(text, ending_of(finish_reason), read, wrote)


def _text_in(message: Any) -> str:
    return text_of(_get(message, "content")) or text_of(_get(message, "refusal"))


def _asks_for_tool(message: Any) -> bool:
    """Say whether a message asks for a tool and says nothing; some servers end it with ``stop``."""
    asks = _get(message, "tool_calls") or _get(message, "function_call")
    return bool(asks) and not _text_in(message)


def _body(answer: Any) -> Any:
    return answer.model_dump() if hasattr(answer, "model_dump") else answer


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _first(choices: Any) -> Any:
    return choices[0] if isinstance(choices, list) and choices else None
