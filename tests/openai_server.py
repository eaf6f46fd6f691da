"""A server on the loopback address that speaks the OpenAI chat protocol, well or badly as asked.

It is a real HTTP server, so that the real ``openai`` client is tested against it, with its retries,
timeouts and stream decoding. Replies are queued before they are asked for::

    def test_a_rate_limit(openai_server):
        openai_server.fail(429, headers={"Retry-After": "0.01"})
        openai_server.answer("hello")
        chat = OpenAIChat.connect("m", base_url=openai_server.base_url, api_key="k")
        assert chat.chat([{"role": "user", "content": "hi"}]).text == "hello"
        assert len(openai_server.requests) == 2
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

__all__ = ["Asked", "OpenAIServer"]

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
LONGEST_WAIT = 60.0  # seconds that a reply may be withheld; a test that needs more is wrong


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    body: dict[str, Any]
    headers: dict[str, str]


class OpenAIServer:
    """Answers ``POST /v1/chat/completions`` with the replies that were queued, in their order.

    With none left it answers with :attr:`otherwise`, a function from the request's body to the
    text of the answer; without that, with status 500 and no retry.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.base_url = server.url_for("/v1")
        self.requests: list[Asked] = []
        self.otherwise: Callable[[dict[str, Any]], str] | None = None
        self._replies: deque[Callable[[dict[str, Any]], Response]] = deque()
        self._stopped = threading.Event()
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(
            self._handle
        )

    def answer(
        self,
        text: str,
        *,
        usage: Mapping[str, int] | None = USAGE,
        finish_reason: str = "stop",
        pieces: Sequence[str] | None = None,
    ) -> None:
        """Answer with a text; as a stream of words, or of these pieces, where it is asked for."""
        self._replies.append(
            lambda body: _completion(
                body, text, usage=usage, finish_reason=finish_reason, pieces=pieces
            )
        )

    def fail(
        self,
        status: int,
        *,
        message: str = "the server is not well",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with an error in the protocol's form."""
        content = json.dumps({"error": {"message": message, "type": "error", "code": None}})
        self._replies.append(
            lambda _: Response(
                content, status, headers=dict(headers or {}), content_type="application/json"
            )
        )

    def answer_raw(self, content: str, content_type: str = "application/json") -> None:
        """Answer with this body, be it valid or not, and status 200."""
        self._replies.append(lambda _: Response(content, 200, content_type=content_type))

    def answer_json(self, body: Any, status: int = 200) -> None:
        """Answer with this document, whatever was asked for."""
        self._replies.append(
            lambda _: Response(json.dumps(body), status, content_type="application/json")
        )

    def answer_events(self, events: Sequence[Any]) -> None:
        """Answer with a stream of these events: texts as they are, all else as JSON."""
        data = [event if isinstance(event, str) else json.dumps(event) for event in events]
        self._replies.append(lambda _: _events(data))

    def answer_packed(self, content: bytes, encoding: str = "gzip") -> None:
        """Answer with compressed bytes."""
        headers = {"Content-Encoding": encoding}
        self._replies.append(
            lambda _: Response(content, 200, headers=headers, content_type="application/json")
        )

    def redirect(self, to: str, status: int = 307) -> None:
        """Send the request elsewhere."""
        self._replies.append(lambda _: Response("", status, headers={"Location": to}))

    def hang(self, *, after: Sequence[str] = ()) -> None:
        """Say nothing until the test is over; after these pieces of a stream, where given."""

        def silent(body: dict[str, Any]) -> Response:
            if not after:
                self._stopped.wait(LONGEST_WAIT)
                return Response("", 503)
            return _events([*_chunks(body, after), self._wait])

        self._replies.append(silent)

    def break_off(self, pieces: Sequence[str], *, politely: bool = False) -> None:
        """Begin a stream and break it off.

        Args:
            pieces: what the answer had come to.
            politely: end the response as HTTP would have it, without the last events of the
                protocol; else the connection is cut in the middle of it.
        """
        self._replies.append(
            lambda body: _events([*_chunks(body, pieces), *([] if politely else [_cut])])
        )

    def fail_midway(self, pieces: Sequence[str], message: str = "the model fell over") -> None:
        """Begin a stream and send an error in it."""
        error = json.dumps({"error": {"message": message, "code": 500}})
        self._replies.append(lambda body: _events([*_chunks(body, pieces), error]))

    def stop(self) -> None:
        """Let go of every request that hangs."""
        self._stopped.set()

    def _handle(self, request: Request) -> Response:
        body = request.get_json()
        self.requests.append(Asked(body, dict(request.headers)))
        if self._replies:
            return self._replies.popleft()(body)
        if self.otherwise is not None:
            return _completion(body, self.otherwise(body))
        return Response(
            '{"error": {"message": "no reply was queued"}}', 500, {"x-should-retry": "false"}
        )

    def _wait(self) -> str:
        self._stopped.wait(LONGEST_WAIT)
        return ""


def _completion(
    body: Mapping[str, Any],
    text: str,
    *,
    usage: Mapping[str, int] | None = USAGE,
    finish_reason: str = "stop",
    pieces: Sequence[str] | None = None,
) -> Response:
    if body.get("stream"):
        return _events(_stream(body, text, usage, finish_reason, pieces))
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    whole = {**_head(body, "chat.completion"), "choices": [choice], "usage": usage}
    return Response(json.dumps(whole), 200, content_type="application/json")


def _stream(
    body: Mapping[str, Any],
    text: str,
    usage: Mapping[str, int] | None,
    finish_reason: str,
    pieces: Sequence[str] | None,
) -> Iterator[str]:
    yield from _chunks(body, pieces if pieces is not None else _words(text))
    yield _chunk(body, {}, finish_reason)
    if usage and (body.get("stream_options") or {}).get("include_usage"):
        head = _head(body, "chat.completion.chunk")
        yield json.dumps({**head, "choices": [], "usage": usage})
    yield "[DONE]"


def _words(text: str) -> list[str]:
    """Return the words of a text with the blanks before them."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def _chunks(body: Mapping[str, Any], pieces: Sequence[str]) -> list[str]:
    first = _chunk(body, {"role": "assistant", "content": ""})
    return [first, *(_chunk(body, {"content": piece}) for piece in pieces)]


def _chunk(body: Mapping[str, Any], delta: Mapping[str, str], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return json.dumps({**_head(body, "chat.completion.chunk"), "choices": [choice]})


def _head(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    model = body.get("model", "")
    return {"id": "chatcmpl-1", "object": kind, "created": int(time.time()), "model": model}


def _events(parts: Any) -> Response:
    """Return a stream of server-sent events; a function among the parts is called in its turn."""

    def body() -> Iterator[bytes]:
        for part in parts:
            data = part() if callable(part) else part
            yield f"data: {data}\n\n".encode()

    return Response(body(), 200, content_type="text/event-stream")


def _cut() -> str:
    """End the connection before its last chunk, as a server that dies does."""
    raise ConnectionAbortedError
