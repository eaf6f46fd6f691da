"""How much of an answer is read over REST, whatever the server sends.

The client is the caller's: a hook of its HTTP client bounds the answers to trivec's requests alone.
gRPC has a limit of its own, which the caller gives: ``grpc.max_receive_message_length``.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trivec._runtime.unpacking import AnswerTooLargeError, limit_answer

__all__ = ["LARGEST_ANSWER", "bounded_answers", "is_oversized"]

LARGEST_ANSWER = 128 * 2**20
"""Bytes of an answer once it is unpacked: one passage of 8,192 tokens with ColBERT has 100 MB."""

_OF_GRPC = ("Received", "Decompressed", "CLIENT: Received", "CLIENT: Decompressed")
"""How the words begin that say that an answer is larger than its channel allows."""

_asking = contextvars.ContextVar("trivec_asking", default=False)


@contextmanager
def bounded_answers(client: Any) -> Iterator[None]:
    """Bound the answers to what is asked within, and ask for none that cannot be bounded."""
    _put_hooks(client)
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)


def is_oversized(err: BaseException | None) -> bool:
    """Say whether an answer was larger than the limit, trivec's or that of a gRPC channel."""
    if isinstance(getattr(err, "source", err), AnswerTooLargeError):
        return True
    details = getattr(err, "details", None)
    words = str(details()) if callable(details) else ""
    return words.startswith(_OF_GRPC) and "larger than max" in words


def _put_hooks(client: Any) -> None:
    """Put hooks into a client's HTTP client, once; there is no public way to it."""
    api = getattr(getattr(getattr(client, "_client", None), "http", None), "client", None)
    for name, request, response in (
        ("_client", _ask, _limit),
        ("_async_client", _ask_async, _limit_async),
    ):
        hooks = getattr(getattr(api, name, None), "event_hooks", None)
        if hooks is not None and response not in hooks["response"]:
            hooks["request"].append(request)
            hooks["response"].append(response)


def _ask(request: Any) -> None:
    if _asking.get():
        request.headers["Accept-Encoding"] = "gzip"


async def _ask_async(request: Any) -> None:
    _ask(request)


def _limit(response: Any) -> None:
    if _asking.get():
        limit_answer(response, LARGEST_ANSWER, asynchronous=False)


async def _limit_async(response: Any) -> None:
    if _asking.get():
        limit_answer(response, LARGEST_ANSWER, asynchronous=True)
