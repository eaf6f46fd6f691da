"""When a request that failed is sent again: waits with full jitter, or as long as a server asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["TRANSIENT_STATUS", "Backoff", "attempts"]

TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed later."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long is waited between tries, in seconds.

    Attributes:
        deadline: after which a request that still fails raises.
        first_wait: bound of the first wait; it doubles from try to try.
        longest_wait: bound of any wait, a server's wish included.
    """

    deadline: float
    first_wait: float = 0.2
    longest_wait: float = 10.0


def attempts(
    backoff: Backoff,
    is_transient: Callable[[BaseException], bool],
    wished_wait: Callable[[BaseException | None], float | None],
) -> dict[str, Any]:
    """Return when a request is tried again, as tenacity's ``Retrying`` takes it.

    Args:
        backoff: the waits.
        is_transient: whether the same request may succeed after this error.
        wished_wait: the seconds that the server asked for with this error, if it did.
    """
    import tenacity

    jitter = tenacity.wait_random_exponential(
        multiplier=backoff.first_wait, max=backoff.longest_wait
    )

    def wait(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome is not None else None
        wish = wished_wait(failure)
        return float(jitter(state)) if wish is None else min(wish, backoff.longest_wait)

    return {
        "retry": tenacity.retry_if_exception(is_transient),
        "wait": wait,
        "stop": tenacity.stop_before_delay(backoff.deadline),
        "reraise": True,
    }
