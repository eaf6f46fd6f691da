"""A value that is made once, at first use, by whichever thread comes first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Lazy"]

T = TypeVar("T")


class Lazy(Generic[T]):
    """Calls ``make`` at most once with success; a failure is raised and tried again next time.

    A copy, pickled or deep, makes its own value: ``make`` must be a method or a function of a
    module for that. So does a process that was forked, where ``forks`` is False: threads of the
    value do not exist there.

    Args:
        make: makes the value.
        forks: whether a forked process may use the value that its parent made.
    """

    def __init__(self, make: Callable[[], T], *, forks: bool = True) -> None:
        self._make = make
        self._forks = forks
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._made: list[T] = []
        self._inherited: list[T] = []

    @property
    def ready(self) -> bool:
        """Whether the value is there already."""
        self._notice_fork()
        return bool(self._made)

    def __call__(self) -> T:
        """Return the value, made now if need be."""
        self._notice_fork()
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def _notice_fork(self) -> None:
        """Begin anew in a forked process; a lock that another thread held is held for ever."""
        process = os.getpid()
        if process == self._process:
            return
        self._lock, self._process = threading.RLock(), process
        if not self._forks:  # kept, since ending it would wait for its threads
            self._inherited, self._made = [*self._inherited, *self._made], []

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._make, self._forks)


def _again(kind: type[Lazy[T]], make: Callable[[], T], forks: bool) -> Lazy[T]:  # noqa: FBT001  # for pickle
    return kind(make, forks=forks)
