"""What a model has said before, kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping

from trivec._runtime.checks import check_least

__all__ = ["RecentReplies"]


class RecentReplies(MutableMapping[str, str]):
    """A mapping of texts that holds so many; the least recently used go first. Thread-safe.

    Args:
        size: how many are kept; 0 keeps none.

    Raises:
        InputError: a negative size.
    """

    def __init__(self, size: int = 1024) -> None:
        check_least("size", size, 0)
        self._size = size
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: str) -> str:
        with self._lock:
            self._kept.move_to_end(key)
            return self._kept[key]

    def __setitem__(self, key: str, value: str) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def __delitem__(self, key: str) -> None:
        with self._lock:
            del self._kept[key]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._kept))

    def __len__(self) -> int:
        return len(self._kept)
