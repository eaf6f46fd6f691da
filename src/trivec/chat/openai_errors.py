"""What the ``openai`` client raises, as trivec's errors; keys and messages stay out of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trivec._runtime.retrying import TRANSIENT_STATUS
from trivec._runtime.secrets import Key, original, server_words
from trivec.errors import ModelError, ModelUnavailableError

__all__ = ["REDIRECTED", "Failures", "error_in"]

REDIRECTED = "x-trivec-redirected-to"
"""A header of ours on an answer: the host that it would have sent the request to."""


_LATER = re.compile(
    r"overload|rate.?limit|throttl|unavailable|timeout|busy|capacity|server.?error|internal"
    r"|exhausted|too.many",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(r"insufficient|quota|balance|billing|credit|余额|欠费", re.IGNORECASE)


class Failures:
    """Turns errors of the client into trivec's.

    Args:
        model: what the server calls the model.
        key: which must not be repeated.
    """

    def __init__(self, model: str, key: Key) -> None:
        self._model = model
        self._key = key

    def of(self, error: Exception, request: Mapping[str, Any]) -> ModelError:
        """Return the error to raise, whose cause holds nothing of the request.

        Raise it outside the ``except`` block, so that the client's error is not its context.
        """
        failure = self._translated(error, request)
        failure.__cause__ = original(error)
        return failure

    def in_body(self, body: Mapping[str, Any], request: Mapping[str, Any]) -> ModelError:
        """Return the error to raise for one that came with status 200, with its code."""
        held = body.get("error")
        inner = held if isinstance(held, Mapping) else body
        code = next((inner[name] for name in ("code", "status", "type") if inner.get(name)), None)
        named = "" if code is None else f" (code {self._key.removed_from(str(code))[:40]})"
        words = self.words(body, request)
        said = f"the server of the model {self._model!r} answered with an error{named}: {words}"
        if _is_transient(code):
            return ModelUnavailableError(f"{said}; try again later")
        return ModelError(said)

    def words(self, body: object, request: Mapping[str, Any]) -> str:
        """Return the server's own words in a body."""
        return server_words(body, self._key, _texts(request))

    def _translated(self, error: Exception, request: Mapping[str, Any]) -> ModelError:
        import openai

        model = self._model
        if isinstance(error, openai.APITimeoutError) or _is_a(error, "TimeoutException"):
            return ModelUnavailableError(
                f"the model {model!r} did not answer in time; raise the timeout, or ask for less"
            )
        if isinstance(error, openai.APIConnectionError):
            if _is_a(error.__cause__, "AnswerTooLargeError"):
                return ModelError(f"the answer of the model {model!r} is too large to be one")
            return ModelUnavailableError(
                f"the server of the model {model!r} cannot be reached, or broke off the "
                "connection; is it running, is base_url right?"
            )
        if isinstance(error, openai.APIStatusError):
            return self._of_status(error, self.words(error.body, request), request)
        if isinstance(error, openai.APIError):
            words = self.words(error.body or error.message, request)
            return ModelUnavailableError(
                f"the model {model!r} failed in the middle of its answer: {words}"
            )
        return self._unread(error)

    def _unread(self, error: Exception) -> ModelError:
        if isinstance(error, ConnectionError) or _is_a(error, "TransportError"):
            return ModelUnavailableError(
                f"the answer of the model {self._model!r} broke off; try again"
            )
        if _is_a(error, "AnswerTooLargeError"):
            return ModelError(f"the answer of the model {self._model!r} is too large to be one")
        return ModelError(
            f"the answer of the model {self._model!r} cannot be read ({type(error).__name__}); is "
            "base_url that of an OpenAI-compatible server, with its /v1?"
        )

    def _of_status(self, error: Any, said: str, request: Mapping[str, Any]) -> ModelError:
        model, status = self._model, error.status_code
        if status in (401, 403, 429):
            return self._of_account(error, said)
        if status == 404:
            return ModelError(
                f"the server knows no model {model!r}, or has no chat at this address (status "
                f"404); check model and base_url: {said}"
            )
        if 300 <= status < 400:
            host = error.response.headers.get(REDIRECTED, "another address")
            return ModelError(
                f"the server of the model {model!r} redirects to {host} (status {status}), and "
                "nothing is sent there; where it is to be trusted, give it as base_url"
            )
        if status == 408 or status >= 500:
            return ModelUnavailableError(
                f"the server of the model {model!r} failed (status {status}), after all retries; "
                f"try again later: {said}"
            )
        return ModelError(
            f"the model {model!r} refuses the request (status {status}): {said}{_remedy(request)}"
        )

    def _of_account(self, error: Any, said: str) -> ModelError:
        """Return the error for a status that says what a key may do."""
        model, status = self._model, error.status_code
        if status == 401:  # its words echo the key
            return ModelError(
                f"the server refuses the API key for the model {model!r} (status 401); "
                "check api_key, or the variable OPENAI_API_KEY"
            )
        if status == 403:
            return ModelError(
                f"the server refuses the model {model!r} to this API key (status 403); check "
                f"api_key, and what it may use: {said}"
            )
        if status == 429 and _NO_MONEY.search(f"{said} {getattr(error, 'code', None)}"):
            return ModelUnavailableError(
                f"the account at the server of the model {model!r} has nothing left (status 429); "
                f"raise its quota, or take another key: {said}"
            )
        return ModelUnavailableError(
            f"the server of the model {model!r} has too many requests (status 429), after all "
            f"retries; ask less often, or raise max_retries: {said}"
        )


def error_in(body: object) -> Mapping[str, Any] | None:
    """Return a body that is an error although its status was 200; None where it is an answer."""
    if not isinstance(body, Mapping) or body.get("choices"):
        return None
    names = ("error", "errors", "error_msg", "message", "msg", "detail", "base_resp")
    held = [body[name] for name in names if body.get(name)]
    is_answer = any(isinstance(value, Mapping) and "content" in value for value in held)
    return body if held and not is_answer else None


def _is_transient(code: object) -> bool:
    """Say whether the same request may succeed later, of the code in an error's body."""
    text = str(code)
    if text.isdigit():
        return int(text) in TRANSIENT_STATUS or 500 <= int(text) < 600
    return _LATER.search(text) is not None


def _remedy(request: Mapping[str, Any]) -> str:
    """Return what may be done about a refused request."""
    if "response_format" not in request:
        return ""
    return (
        "; where it is the JSON schema that it refuses, the chat option schema_refused=ask_without "
        "asks in another form"
    )


def _texts(request: Mapping[str, Any]) -> list[str]:
    return [str(message.get("content")) for message in request.get("messages", ())]


def _is_a(error: BaseException | None, name: str) -> bool:
    """Say whether an error is of a class of this name, of whichever of the two HTTP clients."""
    return any(kind.__name__ == name for kind in type(error).__mro__)
