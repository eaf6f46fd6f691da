"""Requests to a model's server: sent again where that helps, their failures as trivec's errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trivec._runtime.quoting import quoted
from trivec._runtime.retrying import TRANSIENT_STATUS, Backoff, attempts
from trivec.errors import InputError, ModelError, ModelUnavailableError

if TYPE_CHECKING:
    import httpx

__all__ = ["RemoteCalls", "RequestTooLargeError", "addresses"]

REPEATED = 24
"""Characters of a text that, found in a server's words, keep them out of the error."""


class RequestTooLargeError(ModelError):
    """The server takes no request of this size; a smaller one may pass."""


@dataclass(frozen=True, slots=True)
class RemoteCalls:
    """Posts JSON to a server.

    Attributes:
        client: makes or returns the HTTP client.
        key: returns the key, if there is one; it is asked for at every request.
        backoff: how long a request that fails is sent again.
    """

    client: Callable[[], httpx.Client]
    key: Callable[[], str | None]
    backoff: Backoff

    def post(self, url: str, body: Mapping[str, Any], texts: Sequence[str] = ()) -> Any:
        """Return the JSON that the server answers with.

        Args:
            url: where to.
            body: what is sent.
            texts: the texts in it, which no error may repeat.

        Raises:
            ModelUnavailableError: no answer until the deadline.
            RequestTooLargeError: status 413.
            ModelError: the server refused the request, or answered with something else than JSON.
        """
        import httpx
        import tenacity

        def send() -> httpx.Response:
            key = self.key()
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            response = self.client().post(url, json=dict(body), headers=headers)
            response.raise_for_status()
            return response

        retrying = tenacity.Retrying(**attempts(self.backoff, _is_transient, _wished_wait))
        try:
            return retrying(send).json()
        except httpx.HTTPStatusError as err:
            raise _of_status(err.response, url, texts) from err
        except httpx.TimeoutException as err:
            raise ModelUnavailableError(
                f"{url} did not answer in time; raise the timeout, or send fewer tokens at a time"
            ) from err
        except httpx.TransportError as err:
            raise ModelUnavailableError(
                f"{url} cannot be reached, or broke off the connection ({type(err).__name__}); "
                "is the server running, is the address right?"
            ) from err
        except ValueError as err:
            raise ModelError(f"{url} did not answer in JSON; check the address") from err


def addresses(url: str) -> tuple[str, str]:
    """Return where OpenAI's endpoints are, and where vLLM's own are: a server's root.

    Args:
        url: a server's address with or without ``/v1``, or another version.

    Raises:
        InputError: no address of a server, or one with a key in it.
    """
    if not isinstance(url, str) or not re.match(r"https?://[^/]", url, re.IGNORECASE):
        raise InputError(f"{url!r} is not an address; give one like http://localhost:8000/v1")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        raise InputError("a URL holds a user or a query; give the key as api_key, not in the URL")
    whole = url.rstrip("/")
    versioned = whole if re.search(r"/v\d+$", whole) else f"{whole}/v1"
    return versioned, versioned.removesuffix("/v1")


def _is_transient(err: BaseException) -> bool:
    import httpx

    if isinstance(err, httpx.HTTPStatusError):
        return err.response.status_code in TRANSIENT_STATUS
    return isinstance(err, httpx.TransportError) and not isinstance(err, httpx.UnsupportedProtocol)


def _wished_wait(err: BaseException | None) -> float | None:
    """Return the seconds of a Retry-After header, which may be a date."""
    import httpx

    if not isinstance(err, httpx.HTTPStatusError):
        return None
    wish = err.response.headers.get("Retry-After", "")
    try:
        seconds = float(wish)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(wish) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _of_status(response: httpx.Response, url: str, texts: Sequence[str]) -> ModelError:
    status = response.status_code
    if status in (401, 403):  # these may echo the key
        return ModelError(f"{url} refuses the API key (status {status}); check api_key")
    if status == 404:
        return ModelError(
            f"{url} is not there, or knows no such model (status 404); check the URL, the model's "
            "name, and that the server was started for this task"
        )
    if status in TRANSIENT_STATUS:
        return ModelUnavailableError(
            f"{url} kept answering {status} until the deadline; try again later, or raise it"
        )
    said = f"{url} refuses the request (status {status}): {_said(response, texts)}"
    return RequestTooLargeError(said) if status == 413 else ModelError(said)


def _said(response: httpx.Response, texts: Sequence[str]) -> str:
    """Return the beginning of a server's own words, unless they repeat what was sent."""
    try:
        body = response.json()
        error = body.get("error", body)
        message = error if isinstance(error, str) else error.get("message") or error.get("detail")
    except (ValueError, AttributeError):
        message = None
    if not isinstance(message, str) or not message.strip():
        return "it does not say why"
    if any(text[:REPEATED] in message for text in texts if text.strip()):
        return "(its words repeat the text and are left out)"
    return quoted(message)
