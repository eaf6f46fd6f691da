"""What the ``openai`` client raises, as trivec's errors; keys and messages stay out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trivec._runtime.quoting import quoted
from trivec.errors import ModelError, ModelUnavailableError, TrivecError

__all__ = ["model_errors", "refuses_format"]


@contextmanager
def model_errors(model: str) -> Iterator[None]:
    """Turn whatever a call of the client raises into trivec's errors.

    Raises:
        ModelUnavailableError: trying again later may help.
        ModelError: it will not.
    """
    try:
        yield
    except TrivecError:
        raise
    except Exception as err:
        raise _translated(model, err) from err


def refuses_format(request: Mapping[str, Any], error: Exception) -> bool:
    """Say whether a server may have refused a request for the schema in it."""
    return "response_format" in request and _status(error) in (400, 422)


def _translated(model: str, error: Exception) -> ModelError:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return ModelUnavailableError(
            f"the model {model!r} did not answer in time; raise the timeout, or ask for less"
        )
    if isinstance(error, openai.APIConnectionError):
        return ModelUnavailableError(
            f"the server of the model {model!r} cannot be reached, or broke off the connection; "
            "is it running, is base_url right?"
        )
    if isinstance(error, openai.APIStatusError):
        return _of_status(model, error.status_code, _said(error.body))
    if isinstance(error, openai.APIError):
        return ModelUnavailableError(f"the model {model!r} failed in the middle of its answer")
    if isinstance(error, ConnectionError) or _broke_off(error):
        return ModelUnavailableError(f"the answer of the model {model!r} broke off; try again")
    return ModelError(
        f"the answer of the model {model!r} cannot be read ({type(error).__name__}); is base_url "
        "that of an OpenAI-compatible server, with its /v1?"
    )


def _said(body: object) -> str:
    message = body.get("message") if isinstance(body, Mapping) else None
    return quoted(message) if isinstance(message, str) else "it does not say why"


def _of_status(model: str, status: int, said: str) -> ModelError:
    if status in (401, 403):  # these echo the key
        return ModelError(
            f"the server refuses the API key for the model {model!r} (status {status}); "
            "check api_key, or the variable OPENAI_API_KEY"
        )
    if status == 404:
        return ModelError(
            f"the server knows no model {model!r}, or has no chat at this address (status 404); "
            f"check model and base_url: {said}"
        )
    if status == 429:
        return ModelUnavailableError(
            f"the server of the model {model!r} has too many requests (status 429), after all "
            "retries; ask less often, or raise max_retries"
        )
    if status == 408 or status >= 500:
        return ModelUnavailableError(
            f"the server of the model {model!r} failed (status {status}), after all retries; "
            "try again later"
        )
    return ModelError(f"the model {model!r} refuses the request (status {status}): {said}")


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _broke_off(error: Exception) -> bool:
    """Say whether an error of the transport came through; clients before 3 let those of streams."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
