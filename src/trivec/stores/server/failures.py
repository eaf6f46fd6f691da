"""What becomes of a failed request: which failures pass with time, and what the others mean."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from trivec._runtime.bounding import bounded
from trivec._runtime.retrying import TRANSIENT_STATUS, Backoff, attempts
from trivec._runtime.secrets import Key, quoted
from trivec._runtime.typed import check_fields
from trivec.errors import CollectionNotFoundError, StoreError, StoreUnavailableError, TrivecError
from trivec.stores.server.wire.answers import LARGEST_ANSWER, is_oversized

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient
    from tenacity import RetryCallState

__all__ = [
    "NotAppliedError",
    "RetryPolicy",
    "WaitTimeoutError",
    "call",
    "call_async",
    "default_policy",
    "is_conflict",
    "is_forbidden",
    "is_refusal",
    "is_too_large",
    "is_transient",
    "is_unknown_operation",
    "key_of",
    "retry_delay",
    "server_words",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_REFUSED_HTTP = frozenset({400, 413, 422})
_TRANSIENT_GRPC = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL"}
)
_REFUSED_GRPC = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})
_FORBIDDEN = frozenset({401, 403, "UNAUTHENTICATED", "PERMISSION_DENIED"})
_LASTING = (
    "No space left on device",
    "available disk space",
    "Read-only file system",
    "Exception deserializing response",
    "Exception serializing request",
    "larger than max",
)
"""Words of failures that no waiting mends, whatever their status."""
_SILENT_GRPC = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_SPLIT = "split your request"
_LONGEST_REASON = 400
_PACING = 5
_CLOCKS_APART = 0.05  # seconds: gRPC measures its deadline by another clock
NO_KEY = Key(None)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a request may take, and how long it is tried again where that may help.

    Waits are random between 0 and a bound that doubles ("full jitter"), or what the server's
    Retry-After header says.

    Attributes:
        read_deadline: seconds after which a read raises, all tries and waits included. 0: one try,
            for as long as the client's own timeout allows.
        write_deadline: the same for writes; all writes of a store can be repeated safely. A write
            that the server's rate limit puts off is waited for five times as long.
        first_wait: bound of the first wait, in seconds.
        longest_wait: bound of any wait, Retry-After included.
    """

    read_deadline: float = 5.0
    write_deadline: float = 60.0
    first_wait: float = 0.2
    longest_wait: float = 10.0

    def __post_init__(self) -> None:
        check_fields(self)


def key_of(client: object) -> Key:
    """Return the key that a client sends, if it was built with one."""
    return Key(getattr(client, "init_options", {}).get("api_key"))


def default_policy(client: QdrantClient | AsyncQdrantClient) -> RetryPolicy:
    """Return the policy where none is given: a client that was given more time has it."""
    policy = RetryPolicy()
    timeout = getattr(client, "init_options", {}).get("timeout")
    if not isinstance(timeout, int | float):
        return policy
    return replace(policy, read_deadline=max(policy.read_deadline, float(timeout)))


class WaitTimeoutError(Exception):
    """The server accepted a write but did not apply it in time."""


class NotAppliedError(Exception):
    """The server took note of a write, and did not say that it is stored."""


def call(
    action: Callable[[], T],
    policy: RetryPolicy,
    *,
    within: Callable[[float], T] | None = None,
    write: bool = False,
    local: bool = False,
    key: Key = NO_KEY,
) -> T:
    """Run a request until it succeeds, fails for good, or the deadline has passed.

    Args:
        action: sends the request.
        policy: how long.
        within: the same, ended by the client itself after so many seconds; None: it cannot.
        write: whether it changes the collection.
        local: whether it is computed in this process, where nothing can hang.
        key: the client's, which no error may repeat.

    Raises:
        StoreUnavailableError: no answer until the deadline.
        CollectionNotFoundError: the server has no such collection.
        StoreError: the server refused or failed it.
    """
    tries = _Tries(policy, write=write)

    def once() -> T:
        left = None if local else tries.left()
        if left is None:
            return action()
        return bounded(action, left) if within is None else within(left)

    try:
        return once()  # nearly always enough
    except Exception as err:  # noqa: BLE001  # tenacity decides
        replayed = _Replayed(err)

    import tenacity

    def again() -> T:
        replayed.told()
        with tries.told():
            return once()

    with _translating(key):
        return tenacity.Retrying(**tries.settings())(again)


async def call_async(
    action: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    write: bool = False,
    key: Key = NO_KEY,
) -> T:
    """Await a request as ``call`` runs one; waits leave the event loop to others."""
    import asyncio

    import tenacity

    tries = _Tries(policy, write=write)

    async def once() -> T:
        with tries.told():
            async with asyncio.timeout(tries.left()):
                return await action()

    async def again() -> T:
        replayed.told()
        return await once()

    with _translating(key):
        try:
            return await once()
        except Exception as err:  # noqa: BLE001  # the same
            replayed = _Replayed(err)
        return await tenacity.AsyncRetrying(**tries.settings())(again)


class _Replayed:
    """The failure of a first try, which counts as the first of those that follow."""

    def __init__(self, failure: Exception) -> None:
        self._failure: Exception | None = failure

    def told(self) -> None:
        """Raise it, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


class _Tries:
    """The tries of one request: when there is another one, and how long it may take."""

    def __init__(self, policy: RetryPolicy, *, write: bool) -> None:
        self._backoff = Backoff(
            policy.write_deadline if write else policy.read_deadline,
            policy.first_wait,
            policy.longest_wait,
        )
        self._patient = write
        self._begun = time.monotonic()
        self._deadline = self._backoff.deadline
        self._failure: BaseException | None = None

    def left(self) -> float | None:
        """Return the seconds that the next try has; None: as long as the client allows."""
        if self._deadline <= 0:
            return None
        return max(self._begun + self._deadline - time.monotonic(), 0.001)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise what the server said to the try before, where this one runs out of time."""
        try:
            yield
        except Exception as err:
            if self._failure is None or not self._ran_out(err):
                raise
            raise self._failure from None

    def _ran_out(self, err: Exception) -> bool:
        if _grpc_status(err) == "DEADLINE_EXCEEDED":
            return time.monotonic() - self._begun >= self._deadline - _CLOCKS_APART
        return _is_timeout(err)

    def settings(self) -> dict[str, Any]:
        """Return when a request is tried again, as tenacity takes it."""
        return {**attempts(self._backoff, is_transient, retry_delay), "stop": self._is_over}

    def _is_over(self, state: RetryCallState) -> bool:
        failure = state.outcome.exception() if state.outcome is not None else None
        self._failure = failure
        paced = self._patient and retry_delay(failure) is not None
        if paced:
            self._deadline = self._backoff.deadline * _PACING
            logger.info("the server's rate limit puts a write off: %s", _reason(failure))
        return time.monotonic() - self._begun + state.upcoming_sleep >= self._deadline


@contextmanager
def _translating(key: Key) -> Iterator[None]:
    """Turn what the client raises into trivec's errors; a server may repeat the client's key."""
    try:
        yield
    except TrivecError:
        raise
    except Exception as err:  # noqa: BLE001  # raised again as trivec's
        cause = _without(key, err)
        raise _translated(cause) from cause


class _RpcError(Exception):
    """A failure over gRPC, in the place of one that repeats the key."""

    def __init__(self, code: Any, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self._code, self._words = code, words

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._words


def _without(key: Key, err: Exception) -> Exception:
    """Return an error of the client's that does not show its key."""
    secret = key.reveal()
    if secret is None:
        return err
    if _http_status(err) is not None:
        response: Any = err
        response.content = bytes(response.content or b"").replace(secret.encode(), b"***")
        response.reason_phrase = str(response.reason_phrase).replace(secret, "***")
        return err
    if secret not in f"{err} {_words(err)}":
        return err
    if _grpc_status(err) is not None:
        return _RpcError(err.code(), key.removed_from(_words(err)))  # type: ignore[attr-defined]
    return RuntimeError(key.removed_from(f"{type(err).__name__}: {err}"))


def is_transient(err: BaseException) -> bool:
    """Say whether the same request may succeed later."""
    from qdrant_client.common.client_exceptions import QdrantException

    # A Retry-After that is a date makes the client raise its base class.
    if isinstance(err, QdrantException | WaitTimeoutError):
        return True
    if is_too_large(err) or any(words in _words(err) for words in _LASTING):
        return False
    return (
        _is_unreachable(err)
        or _http_status(err) in TRANSIENT_STATUS
        or (_grpc_status(err) in _TRANSIENT_GRPC)
    )


def is_refusal(err: BaseException | None) -> bool:
    """Say whether the request's content was refused, so that a smaller one may pass.

    The client refuses some itself, before they are sent: payloads that its encoding cannot hold.
    """
    if err is None or isinstance(err, TrivecError | NotAppliedError | WaitTimeoutError):
        return False
    if status := _http_status(err) or _grpc_status(err):
        return status in _REFUSED_HTTP or status in _REFUSED_GRPC
    return not (is_transient(err) or _is_timeout(err) or _is_unreadable(err))


def is_too_large(err: BaseException | None) -> bool:
    """Say whether a rate limit would never let so many points pass at once."""
    return err is not None and _SPLIT in _words(err)


def is_forbidden(err: BaseException | None) -> bool:
    """Say whether the client's key does not allow the request."""
    return err is not None and (_http_status(err) or _grpc_status(err)) in _FORBIDDEN


def is_conflict(err: BaseException | None) -> bool:
    """Say whether what was to be created is there already."""
    return err is not None and "already exists" in _words(err)


def is_unknown_operation(err: BaseException | None) -> bool:
    """Say whether the server is too old to know the operation."""
    return err is not None and (
        _http_status(err) in (404, 405) or _grpc_status(err) == "UNIMPLEMENTED"
    )


def server_words(err: BaseException | None) -> str:
    """Return all that the server said about a failed request."""
    return "" if err is None else _words(err)


def retry_delay(err: BaseException | None) -> float | None:
    """Return the seconds that the server asked to wait, if it did."""
    seconds = getattr(err, "retry_after_s", None)
    return None if seconds is None else max(0.0, float(min(seconds, 10**9)))


def _is_unreadable(err: BaseException) -> bool:
    """Say whether the client could make nothing of an answer."""
    from qdrant_client.http.exceptions import ResponseHandlingException

    return isinstance(err, ResponseHandlingException)


def _is_timeout(err: BaseException) -> bool:
    return isinstance(err, TimeoutError)


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
    if is_transient(err) or _is_timeout(err):
        return StoreUnavailableError(_unavailable(err))
    status = _http_status(err) or _grpc_status(err)
    reason = _reason(err)
    if status in _FORBIDDEN:
        return StoreError(
            "the Qdrant server refused the client's API key; build the client with one that may "
            f"read and write this collection (it says: {reason})"
        )
    if status in (404, "NOT_FOUND") and "ollection" in reason:
        return CollectionNotFoundError(f"the Qdrant server answered {status}: {reason}")
    if status is not None:
        return StoreError(f"the Qdrant server answered {status}: {reason}")
    if isinstance(err, NotAppliedError):
        return StoreError(str(err))
    return StoreError(_unread(err))


def _unavailable(err: Exception) -> str:
    if isinstance(err, WaitTimeoutError):
        return (
            "the Qdrant server accepted the write but did not apply it in time; run it again, "
            "which changes nothing that was written"
        )
    if _is_unreachable(err) or _is_timeout(err) or _grpc_status(err) in _SILENT_GRPC:
        return (
            "the Qdrant server cannot be reached or does not answer in time; check that it runs "
            "and the address that the client was built with, or give the client a longer timeout "
            "and the store a RetryPolicy with longer deadlines"
        )
    status = _http_status(err) or _grpc_status(err) or 429
    return f"the Qdrant server answers {status}: {_reason(err)}; try again later"


def _unread(err: Exception) -> str:
    if is_oversized(err):
        return (
            f"the Qdrant server's answer has more than {LARGEST_ANSWER >> 20} MB, which is not "
            "read; ask for fewer results, and look whether the address is a Qdrant server's"
        )
    return f"qdrant-client failed: {type(err).__name__}: {_reason(err)}"


def _reason(err: BaseException | None) -> str:
    """Return what the server said, shortened; never the document's text, which it may repeat."""
    return quoted(server_words(err), _LONGEST_REASON)


def _words(err: BaseException) -> str:
    details: Any = err
    if _http_status(err) is not None:
        details = _http_words(err)
    elif _grpc_status(err) is not None:
        details = err.details()  # type: ignore[attr-defined]
    return str(details or "")


def _http_words(err: Any) -> str:
    """Return the message of an answer; without a key, Qdrant answers in plain text."""
    try:
        return str(err.structured()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        content = bytes(err.content or b"")[:_LONGEST_REASON].decode(errors="replace")
        plain = content and not content.lstrip().startswith(("<", "{", "["))
        return content if plain else str(err.reason_phrase or "")
