"""A call that its caller waits for no longer than it may."""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

__all__ = ["bounded"]

T = TypeVar("T")

_Outcome: TypeAlias = tuple[Any, BaseException | None]

IDLE_SECONDS = 10.0
"""How long a thread waits for another call before it ends."""
_MOST_IDLE = 16

_idle: deque[_Worker] = deque()


def bounded(action: Callable[[], T], seconds: float) -> T:
    """Return what an action returns, in a thread that waits for such calls.

    A client's timeout bounds one read of a socket, so that an answer that drips outlasts it. This
    bounds the whole call. An action that goes on after that is left to itself.

    Raises:
        TimeoutError: it has not ended in time.
    """
    outcome: SimpleQueue[_Outcome] = SimpleQueue()
    task = (contextvars.copy_context(), action, outcome)
    try:
        _idle.pop().tasks.put(task)  # the last one that ended: the others may leave
    except IndexError:
        _Worker(task)
    try:
        result, error = outcome.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback would hold this frame
    value: T = result
    return value


class _Worker:
    """A thread that carries out one task after another; making one takes as long as a request."""

    def __init__(self, task: Any) -> None:
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.tasks.put(task)
        threading.Thread(target=self._work, name="trivec-call", daemon=True).start()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            context, action, outcome = task
            try:
                answer: _Outcome = context.run(action), None
            except BaseException as err:  # noqa: BLE001  # it is raised where the caller waits
                answer = None, err
            if len(_idle) >= _MOST_IDLE:
                outcome.put(answer)
                return
            _idle.append(self)  # first: the caller's next call finds it
            outcome.put(answer)
            del task, context, action, outcome, answer  # nothing is held while it waits

    def _next(self) -> Any:
        """Return the next task; None: there was none for long, and none can come any more."""
        try:
            return self.tasks.get(timeout=IDLE_SECONDS)
        except Empty:
            try:
                _idle.remove(self)
            except ValueError:
                return self.tasks.get()  # it was taken this moment: its task is on the way
            return None


os.register_at_fork(after_in_child=_idle.clear)  # the child has none of these threads
