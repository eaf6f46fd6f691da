"""A call that its caller waits for no longer than it may."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["bounded"]

T = TypeVar("T")


def bounded(action: Callable[[], T], seconds: float) -> T:
    """Return what an action returns, in a thread of its own.

    A client's timeout bounds one read of a socket, so that an answer that drips outlasts it. This
    bounds the whole call. An action that goes on after that is left to itself.

    Raises:
        TimeoutError: it has not ended in time.
    """
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(action)
        except BaseException as err:  # noqa: BLE001  # it is raised where the caller waits
            outcome.set_exception(err)
        else:
            outcome.set_result(result)

    threading.Thread(target=work, name="trivec-call", daemon=True).start()
    return outcome.result(timeout=seconds)
