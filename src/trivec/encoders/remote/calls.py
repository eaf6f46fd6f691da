"""Requests to a model's server: sent again where that helps, their failures as trivec's errors."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from trivec._runtime.bounding import bounded
from trivec._runtime.checks import shown
from trivec._runtime.retrying import TRANSIENT_STATUS, Backoff, attempts
from trivec._runtime.secrets import Key, original, server_words
from trivec.errors import InputError, ModelError, ModelUnavailableError

if TYPE_CHECKING:
    import httpx

__all__ = [
    "RemoteCalls",
    "RequestRefusedError",
    "RequestTooLargeError",
    "ServerFailedError",
    "addresses",
]

LARGEST_ANSWER = 512 * 2**20
"""Bytes of an answer once it is unpacked: twice the vectors of 8,192 tokens as JSON."""

TRIES_OF_A_FAILURE = 3
"""How often a request of several texts is sent that a server answers with status 500."""


class RequestTooLargeError(ModelError):
    """The server takes no request of this size; a smaller one may pass."""


class RequestRefusedError(ModelError):
    """The server refuses a request (status 400 or 422): perhaps for one of its texts."""


class ServerFailedError(ModelUnavailableError):
    """The server failed on this request (status 500): perhaps on one of its texts."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a server answered; a status below 100 stands for a failure of the transport."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _StatusError(Exception):
    """An answer that is not a success, on its way to be tried again."""

    def __init__(self, answer: _Answer) -> None:
        super().__init__(f"status {answer.status}")
        self.answer = answer


class _TooLongError(Exception):
    """An answer is larger than any."""


@dataclass(frozen=True, slots=True)
class RemoteCalls:
    """Posts JSON to a server.

    Attributes:
        client: makes or returns the HTTP client.
        key: the key, if there is one; it is asked for at every request.
        backoff: how long a request that fails is sent again.
        timeout: seconds of one whole try; infinite where the client was given.
    """

    client: Callable[[], httpx.Client]
    key: Key
    backoff: Backoff
    timeout: float = math.inf

    def post(
        self,
        url: str,
        body: Mapping[str, Any],
        texts: Sequence[str] = (),
        *,
        divisible: bool = False,
    ) -> Any:
        """Return the JSON that the server answers with.

        Args:
            url: where to.
            body: what is sent.
            texts: the texts in it, which no error may repeat.
            divisible: whether the texts can be sent apart: then a server that fails is tried only
                three times, since one of them may be what it fails on.

        Raises:
            ModelUnavailableError: no answer until the deadline.
            ServerFailedError: status 500 until then, or three times.
            RequestTooLargeError: status 413.
            ModelError: the server refused the request, or answered with something else than JSON.
        """
        import tenacity

        failures = 0
        told: BaseException | None = None  # by a try before

        def is_transient(err: BaseException) -> bool:
            nonlocal failures, told
            told = err if isinstance(err, _StatusError) else told
            failures += isinstance(err, _StatusError) and err.answer.status == 500
            return _is_transient(err) and not (divisible and failures >= TRIES_OF_A_FAILURE)

        retrying = tenacity.Retrying(**attempts(self.backoff, is_transient, _wished_wait))
        end = time.monotonic() + self.backoff.deadline

        def send() -> _Answer:
            left = max(0.001, end - time.monotonic())
            try:
                return bounded(partial(self._send, url, body, end), min(left, self.timeout))
            except TimeoutError:
                if told is None or left > self.timeout:
                    raise
                raise told from None

        try:
            answer = retrying(send)
            data = json.loads(answer.body)
        except Exception as err:  # noqa: BLE001  # raised again below, without what it holds
            failure = self._failure(err, url, texts)
        else:
            if (error := _error_in(data)) is None:
                return data
            raise self._in_body(error, url, texts)
        raise failure

    def _send(self, url: str, body: Mapping[str, Any], end: float) -> _Answer:
        # no local variable holds the key: frames are shown with errors
        with self.client().stream(
            "POST", url, json=dict(body), headers=self._headers()
        ) as response:
            content = _bounded(response.iter_bytes(), end)
        answer = _Answer(response.status_code, response.headers, content)
        if not response.is_success:
            raise _StatusError(answer)
        return answer

    def _headers(self) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self.key.reveal()}"} if self.key.reveal() else {}
        return {"Accept-Encoding": "identity", **bearer}

    def _failure(self, error: Exception, url: str, texts: Sequence[str]) -> Exception:
        """Return what to raise for an error, without the request that it holds."""
        failure = self._translated(error, url, texts)
        failure.__cause__ = original(error)
        return failure

    def _translated(self, error: Exception, url: str, texts: Sequence[str]) -> Exception:
        import httpx

        if isinstance(error, _StatusError):
            return self._of_status(error.answer, url, texts)
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return ModelUnavailableError(
                f"{url} did not answer in time; raise the timeout, or send fewer tokens at a time"
            )
        if isinstance(error, httpx.TransportError):
            return ModelUnavailableError(
                f"{url} cannot be reached, or broke off the connection ({type(error).__name__}); "
                "is the server running, is the address right?"
            )
        if isinstance(error, _TooLongError):
            return ModelError(f"the answer of {url} is too large to be one")
        if isinstance(error, (ValueError, httpx.DecodingError)):
            return ModelError(f"{url} did not answer in JSON; check the address")
        return ModelError(f"the request to {url} failed: {type(error).__name__}")

    def _of_status(self, answer: _Answer, url: str, texts: Sequence[str]) -> ModelError:
        status = answer.status
        if status in (401, 403):  # these may echo the key
            return ModelError(f"{url} refuses the API key (status {status}); check api_key")
        if status == 404:
            return ModelError(
                f"{url} is not there, or knows no such model (status 404); check the URL, the "
                "model's name, and that the server was started for this task"
            )
        if 300 <= status < 400:
            to = urlsplit(urljoin(url, answer.headers.get("location", ""))).hostname
            return ModelError(
                f"{url} redirects to {to} (status {status}), and nothing is sent there; where it "
                "is to be trusted, give its address"
            )
        said = self._said(answer, texts)
        if status == 500:
            return ServerFailedError(f"{url} kept answering 500: {said}")
        if status in TRANSIENT_STATUS:
            return ModelUnavailableError(
                f"{url} kept answering {status} until the deadline; try again later, or raise it: "
                f"{said}"
            )
        kinds = {400: RequestRefusedError, 413: RequestTooLargeError, 422: RequestRefusedError}
        kind = kinds.get(status, ModelError)
        return kind(f"{url} refuses the request (status {status}): {said}")

    def _in_body(self, error: Mapping[str, Any], url: str, texts: Sequence[str]) -> ModelError:
        """Return the error to raise for one that came with status 200."""
        held = error.get("error")
        inner = held if isinstance(held, Mapping) else error
        code = next((inner[name] for name in ("code", "status", "type") if inner.get(name)), None)
        named = "" if code is None else f" (code {self.key.removed_from(str(code))[:40]})"
        words = server_words(error, self.key, texts)
        return ModelError(f"{url} answered with an error{named}: {words}")

    def _said(self, answer: _Answer, texts: Sequence[str]) -> str:
        try:
            body = json.loads(answer.body)
        except ValueError:
            return "it does not say why"
        return server_words(body, self.key, texts)


def addresses(url: str) -> tuple[str, str]:
    """Return where OpenAI's endpoints are, and where vLLM's own are: a server's root.

    Args:
        url: a server's address with or without ``/v1``, or another version.

    Raises:
        InputError: no address of a server, or one with a key in it.
    """
    if not isinstance(url, str) or not re.match(r"https?://[^/]", url, re.IGNORECASE):
        raise InputError(f"{shown(url)} is not an address; give one like http://localhost:8000/v1")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        raise InputError("a URL holds a user or a query; give the key as api_key, not in the URL")
    whole = url.rstrip("/")
    versioned = whole if re.search(r"/v\d+$", whole) else f"{whole}/v1"
    return versioned, versioned.removesuffix("/v1")


def _bounded(pieces: Iterable[bytes], end: float) -> bytes:
    """Return the bytes of an answer, unpacked no further than a limit, and read no longer."""
    content, size = [], 0
    for piece in pieces:
        if time.monotonic() > end:  # nobody waits for it any more
            raise TimeoutError
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise _TooLongError
        content.append(piece)
    return b"".join(content)


def _error_in(answer: Any) -> Mapping[str, Any] | None:
    """Return an answer that is an error although its status was 200; None of any other."""
    if isinstance(answer, list) and answer:  # Gemini's
        answer = answer[0]
    if not isinstance(answer, Mapping) or answer.get("data") or answer.get("tokens"):
        return None
    names = ("error", "message", "msg", "detail")
    return answer if any(answer.get(name) for name in names) else None


def _is_transient(err: BaseException) -> bool:
    import httpx

    if isinstance(err, _StatusError):
        return err.answer.status in TRANSIENT_STATUS
    if isinstance(err, TimeoutError):
        return True
    return isinstance(err, httpx.TransportError) and not isinstance(err, httpx.UnsupportedProtocol)


def _wished_wait(err: BaseException | None) -> float | None:
    """Return the seconds of a Retry-After header, which may be a date."""
    if not isinstance(err, _StatusError):
        return None
    wish = err.answer.headers.get("Retry-After", "")
    try:
        seconds = float(wish)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(wish) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
