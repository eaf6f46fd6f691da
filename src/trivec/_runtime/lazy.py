"""A value that is made once, at first use, by whichever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Lazy"]

T = TypeVar("T")


class Lazy(Generic[T]):
    """Calls ``make`` at most once with success; a failure is raised and tried again next time."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._made: list[T] = []

    @property
    def ready(self) -> bool:
        """Whether the value is there already."""
        return bool(self._made)

    def __call__(self) -> T:
        """Return the value, made now if need be."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]
