"""Clients of ``openai``: nothing goes to another host, and answers are bounded."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from trivec._runtime.dependencies import unavailable
from trivec._runtime.secrets import Key, warn_of_plain_http
from trivec.chat.openai_errors import REDIRECTED
from trivec.errors import InputError

__all__ = ["AnswerTooLargeError", "built"]

LARGEST_ANSWER = 64 * 2**20
"""Bytes of an answer once it is unpacked."""


class AnswerTooLargeError(Exception):
    """An answer is larger than any chat model's."""


def built(kind: str, key: Key, settings: Mapping[str, Any]) -> Any:
    """Return a client.

    Redirects to other hosts are not followed, since the question and the passages would go there.
    Answers are asked for uncompressed; a compressed one is unpacked up to a limit.

    Args:
        kind: ``OpenAI`` or ``AsyncOpenAI``.
        key: of the server; without one the variable ``OPENAI_API_KEY`` is read.
        settings: ``base_url``, ``timeout`` and ``max_retries``.

    Raises:
        MissingDependencyError: ``openai`` is not installed.
        InputError: there is no key.
    """
    try:
        import openai
    except ImportError as err:
        raise unavailable(err, "openai", "openai") from err
    make: Callable[..., Any] = getattr(openai, kind)
    http: Any = openai.DefaultHttpxClient if kind == "OpenAI" else openai.DefaultAsyncHttpxClient
    hook = _guard if kind == "OpenAI" else _aguard
    options = {
        **settings,
        "default_headers": {"Accept-Encoding": "identity"},
        "http_client": http(timeout=settings["timeout"], event_hooks={"response": [hook]}),
    }
    try:
        client = make(api_key=key.reveal(), **options)
    except openai.OpenAIError as err:
        raise InputError(
            "there is no API key; give api_key, or set the variable OPENAI_API_KEY "
            "(any text for a server without keys)"
        ) from err
    warn_of_plain_http(str(client.base_url), Key(client.api_key))
    return client


def _guard(response: Any) -> None:
    _stay_at_home(response)
    _bound(response, "SyncByteStream", _Unpacked)


async def _aguard(response: Any) -> None:
    _stay_at_home(response)
    _bound(response, "AsyncByteStream", _AsyncUnpacked)


def _stay_at_home(response: Any) -> None:
    """Let a redirect to another host be an answer that is not followed."""
    if not response.has_redirect_location:
        return
    here, there = response.url, response.url.join(response.headers["location"])
    same_host = there.host == here.host
    upgraded = (here.scheme, there.scheme) == ("http", "https")
    if not same_host or ((here.scheme, here.port) != (there.scheme, there.port) and not upgraded):
        response.headers[REDIRECTED] = there.host
        del response.headers["location"]


def _bound(response: Any, base: str, unpacked: type) -> None:
    """Let an answer be unpacked no further than a limit."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    response.headers.pop("content-encoding", None)
    response.headers.pop("content-length", None)
    package = importlib.import_module(type(response).__module__.partition(".")[0])
    stream = type("Bounded", (unpacked, getattr(package, base)), {})
    response.stream = stream(response.stream, encoding)


class _Unpacking:
    """Unpacks the bytes of a stream, and counts them."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream = stream
        self._unpack: Any = None
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._left = LARGEST_ANSWER

    def _plain(self, data: bytes) -> bytes:
        if self._unpack is not None:
            data = self._unpack.decompress(data, self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise AnswerTooLargeError
        return data


class _Unpacked(_Unpacking):
    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            yield self._plain(data)

    def close(self) -> None:
        self._stream.close()


class _AsyncUnpacked(_Unpacking):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield self._plain(data)

    async def aclose(self) -> None:
        await self._stream.aclose()
