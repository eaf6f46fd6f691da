"""Clients of ``openai``: nothing goes to another host, and answers are bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trivec._runtime.bounding import bounded
from trivec._runtime.dependencies import unavailable
from trivec._runtime.secrets import Key, warn_of_plain_http
from trivec._runtime.unpacking import library_of, limit_answer
from trivec.chat.openai_errors import REDIRECTED
from trivec.errors import InputError

__all__ = ["built"]

LARGEST_ANSWER = 64 * 2**20
"""Bytes of an answer once it is unpacked."""


def built(kind: str, key: Key, settings: Mapping[str, Any]) -> Any:
    """Return a client.

    Redirects to other hosts are not followed, since the question and the passages would go there.
    Answers are asked for uncompressed; a compressed one is unpacked up to a limit. The timeout
    bounds a whole try: an HTTP client's own bounds one read, which an answer that drips outlasts.
    Of a stream it bounds the beginning, and then each line.

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
    patient, hook = (_Patient, _guard) if kind == "OpenAI" else (_AsyncPatient, _aguard)
    seconds = settings["timeout"]
    client_of = type(http.__name__, (patient, http), {"seconds": seconds})
    hooks = {"response": [partial(hook, seconds)]}
    options = {
        **settings,
        "default_headers": {"Accept-Encoding": "identity"},
        "http_client": client_of(timeout=seconds, event_hooks=hooks),
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


class _Patient:
    """An HTTP client that waits for an answer no longer than it may."""

    seconds: float

    def send(self, request: Any, **options: Any) -> Any:
        follow = super().send  # type: ignore[misc]  # of the client that this is mixed into
        try:
            return bounded(lambda: follow(request, **options), self.seconds)
        except TimeoutError:
            raise _too_late(request) from None


class _AsyncPatient:
    seconds: float

    async def send(self, request: Any, **options: Any) -> Any:
        follow = super().send  # type: ignore[misc]  # the same
        try:
            async with asyncio.timeout(self.seconds):
                return await follow(request, **options)
        except TimeoutError:
            raise _too_late(request) from None


def _too_late(request: Any) -> Exception:
    """Return the timeout of the library that a request is of."""
    failure: Exception = library_of(request).ReadTimeout("no whole answer in time", request=request)
    return failure


def _guard(seconds: float, response: Any) -> None:
    _stay_at_home(response)
    _bound(response, seconds, asynchronous=False)


async def _aguard(seconds: float, response: Any) -> None:
    _stay_at_home(response)
    _bound(response, seconds, asynchronous=True)


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


def _bound(response: Any, seconds: float, *, asynchronous: bool) -> None:
    """Let an answer be unpacked no further than a limit, and read no longer than it may last."""
    by_lines = response.headers.get("content-type", "").startswith("text/event-stream")
    clock = _Clock(response.request, seconds, by_lines=by_lines)
    limit_answer(response, LARGEST_ANSWER, asynchronous=asynchronous, look=clock.check)


class _Clock:
    """Ends an answer, or a line of a stream, that lasts too long."""

    def __init__(self, request: Any, seconds: float, *, by_lines: bool) -> None:
        self._request, self._seconds, self._by_lines = request, seconds, by_lines
        self._end = time.monotonic() + seconds

    def check(self, data: bytes) -> None:
        now = time.monotonic()
        if now > self._end:
            raise _too_late(self._request)
        if self._by_lines and b"\n" in data:
            self._end = now + self._seconds
