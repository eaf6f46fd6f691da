"""What becomes of a failed request: which failures pass with time, and what the others mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from trivec._runtime.retrying import TRANSIENT_STATUS, Backoff, attempts
from trivec.errors import CollectionNotFoundError, StoreError, StoreUnavailableError, TrivecError

__all__ = [
    "RetryPolicy",
    "WaitTimeoutError",
    "call",
    "call_async",
    "is_refusal",
    "is_transient",
    "is_unknown_operation",
    "retry_delay",
]

T = TypeVar("T")

_REFUSED_HTTP = frozenset({400, 413})
_TRANSIENT_GRPC = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
_REFUSED_GRPC = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a request that failed for a passing reason is tried again.

    Waits are random between 0 and a bound that doubles ("full jitter"), or what the server's
    Retry-After header says.

    Attributes:
        read_deadline: seconds after which a read that still fails raises.
        write_deadline: the same for writes; all writes of a store can be repeated safely.
        first_wait: bound of the first wait, in seconds.
        longest_wait: bound of any wait, Retry-After included.
    """

    read_deadline: float = 5.0
    write_deadline: float = 60.0
    first_wait: float = 0.2
    longest_wait: float = 10.0


class WaitTimeoutError(Exception):
    """The server accepted a write but did not apply it in time."""


def call(action: Callable[[], T], policy: RetryPolicy, deadline: float) -> T:
    """Run a request until it succeeds, fails for good, or the deadline has passed.

    Raises:
        StoreUnavailableError: no answer until the deadline.
        CollectionNotFoundError: the server has no such collection.
        StoreError: the server refused or failed it.
    """
    import tenacity

    with _translating():
        return tenacity.Retrying(**_attempts(policy, deadline))(action)


async def call_async(action: Callable[[], Awaitable[T]], policy: RetryPolicy, deadline: float) -> T:
    """Await a request as ``call`` runs one; waits leave the event loop to others."""
    import tenacity

    with _translating():
        return await tenacity.AsyncRetrying(**_attempts(policy, deadline))(action)


def _attempts(policy: RetryPolicy, deadline: float) -> dict[str, Any]:
    """Return when a request is tried again, as tenacity takes it."""
    backoff = Backoff(deadline, policy.first_wait, policy.longest_wait)
    return attempts(backoff, is_transient, retry_delay)


@contextmanager
def _translating() -> Iterator[None]:
    """Turn what the client raises into trivec's errors."""
    try:
        yield
    except TrivecError:
        raise
    except Exception as err:
        raise _translated(err) from err


def is_transient(err: BaseException) -> bool:
    """Say whether the same request may succeed later."""
    from qdrant_client.common.client_exceptions import QdrantException

    # A Retry-After that is a date makes the client raise its base class.
    if isinstance(err, QdrantException | WaitTimeoutError):
        return True
    return (
        _is_unreachable(err)
        or _http_status(err) in TRANSIENT_STATUS
        or (_grpc_status(err) in _TRANSIENT_GRPC)
    )


def is_refusal(err: BaseException | None) -> bool:
    """Say whether the server refused the request's content, so that a smaller one may pass."""
    return err is not None and (
        _http_status(err) in _REFUSED_HTTP or _grpc_status(err) in _REFUSED_GRPC
    )


def is_unknown_operation(err: BaseException | None) -> bool:
    """Say whether the server is too old to know the operation."""
    return err is not None and (
        _http_status(err) in (404, 405) or _grpc_status(err) == "UNIMPLEMENTED"
    )


def retry_delay(err: BaseException | None) -> float | None:
    """Return the seconds that the server asked to wait, if it did."""
    seconds = getattr(err, "retry_after_s", None)
    return None if seconds is None else float(seconds)


def _is_unreachable(err: BaseException) -> bool:
    import httpx
    from qdrant_client.http.exceptions import ResponseHandlingException

    source = err.source if isinstance(err, ResponseHandlingException) else err
    return isinstance(source, httpx.TransportError)


def _http_status(err: BaseException) -> int | None:
    from qdrant_client.http.exceptions import UnexpectedResponse

    return err.status_code if isinstance(err, UnexpectedResponse) else None


def _grpc_status(err: BaseException) -> str | None:
    code = getattr(err, "code", None)  # of grpc.RpcError
    return getattr(code(), "name", None) if callable(code) else None


def _translated(err: Exception) -> TrivecError:
    """Return our error; its message holds neither address nor key."""
    if is_transient(err):
        return StoreUnavailableError(_unavailable(err))
    status = _http_status(err) or _grpc_status(err)
    reason = _reason(err)
    if status in (401, 403, "UNAUTHENTICATED", "PERMISSION_DENIED"):
        return StoreError(
            "the Qdrant server refused the client's API key; build the client with one that may "
            "read and write this collection"
        )
    if status in (404, "NOT_FOUND") and "ollection" in reason:
        return CollectionNotFoundError(f"the Qdrant server answered {status}: {reason}")
    if status is not None:
        return StoreError(f"the Qdrant server answered {status}: {reason}")
    return StoreError(f"qdrant-client failed: {type(err).__name__}: {reason}")


def _unavailable(err: Exception) -> str:
    if isinstance(err, WaitTimeoutError):
        return (
            "the Qdrant server accepted the write but did not apply it in time; run it again, "
            "which changes nothing that was written"
        )
    if _is_unreachable(err) or _grpc_status(err) in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return (
            "the Qdrant server cannot be reached or does not answer in time; check that it runs "
            "and the address that the client was built with, or give the client a longer timeout"
        )
    status = _http_status(err) or _grpc_status(err) or 429
    return f"the Qdrant server kept answering {status} until the deadline; try again later"


def _reason(err: Exception) -> str:
    """Return what the server said, shortened; never the document's text, which it may repeat."""
    details: Any = err
    if _http_status(err) is not None:
        try:
            details = err.structured()["status"]["error"]  # type: ignore[attr-defined]
        except (ValueError, KeyError, TypeError):
            details = getattr(err, "reason_phrase", "")
    elif _grpc_status(err) is not None:
        details = err.details()  # type: ignore[attr-defined]
    return (str(details).splitlines() or [""])[0][:200]
