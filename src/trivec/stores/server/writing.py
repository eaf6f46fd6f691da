"""Writing many points: in requests that a server takes; what it refuses is found and named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from trivec.errors import PointsRefusedError, StoreError
from trivec.stores.server.batches import MAX_POINTS, batches
from trivec.stores.server.calls import Operation
from trivec.stores.server.failures import (
    NotAppliedError,
    is_refusal,
    is_too_large,
    server_words,
)
from trivec.stores.server.limits import is_full, required_index
from trivec.stores.server.terms import Terms
from trivec.types import PointId

__all__ = ["Change", "Writer"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OF_ALL = ("Not existing vector name",)
"""Words of refusals that are not due to single points."""

_Written = tuple[PointId, Any]


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One kind of write.

    Attributes:
        encode: writes a value as it is sent.
        size: returns the bytes of that.
        send: sends several.
        verify: reads points until they are as written, where a write was only acknowledged.
    """

    encode: Callable[[T], Any]
    size: Callable[[Any], int]
    send: Callable[[Sequence[Any]], Operation[None]]
    verify: Callable[[Sequence[PointId]], Operation[None]] | None = None


class Writer:
    """Writes to one collection; remembers how many points its rate limit lets pass at once."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._most = MAX_POINTS

    def write(self, change: Change[T], values: Mapping[PointId, T]) -> Operation[None]:
        """Write in batches; what is refused is looked for and named, all else written.

        Raises:
            PointsRefusedError: single points were refused.
            StoreError: all of a batch was refused for a reason that is not theirs.
        """
        refused: dict[PointId, str] = {}
        items = iter(values.items())
        while some := list(islice(items, MAX_POINTS)):
            left = _encoded(change, some, refused)
            while left:
                batch, refused_here = yield from self._first_of(change, left)
                left = left[len(batch) :]
                refused |= refused_here
                if len(refused_here) == len(batch) > 1 and _concern_all(refused_here.values()):
                    raise StoreError(_refusals(refused, len(values)))
        if refused:
            raise PointsRefusedError(_refusals(refused, len(values)), refused)

    def _first_of(
        self, change: Change[T], left: Sequence[_Written]
    ) -> Operation[tuple[list[_Written], dict[PointId, str]]]:
        """Write as many as the server takes at once; return them, and those that it refused."""
        while True:
            most = min(MAX_POINTS, self._terms.limits.points or MAX_POINTS, self._most)
            batch = next(batches(left, lambda item: change.size(item[1]), most=most))
            try:
                return batch, (yield from self._write_or_bisect(change, batch))
            except StoreError as err:
                if len(batch) == 1 or not is_too_large(err.__cause__):
                    raise
                self._most = len(batch) // 2

    def _write_or_bisect(
        self, change: Change[T], items: Sequence[_Written]
    ) -> Operation[dict[PointId, str]]:
        """Write items; return those that the server refuses even alone, with its reason."""
        try:
            yield from change.send([written for _, written in items])
        except StoreError as err:
            cause = err.__cause__
            if isinstance(cause, NotAppliedError) and change.verify is not None:
                yield from change.verify([key for key, _ in items])
                return {}
            words = server_words(cause)
            if not is_refusal(cause) or required_index(words) or is_full(words):
                raise
            if len(items) == 1:
                return {items[0][0]: str(err)}
            half = len(items) // 2
            logger.debug("the server refused %d points, they are sent in halves", len(items))
            first = yield from self._write_or_bisect(change, items[:half])
            return first | (yield from self._write_or_bisect(change, items[half:]))
        return {}


def _encoded(
    change: Change[T], values: Iterable[tuple[PointId, T]], refused: dict[PointId, str]
) -> list[_Written]:
    """Write values as they are sent; note those that cannot be."""
    written = []
    for key, value in values:
        try:
            written.append((key, change.encode(value)))
        except (TypeError, ValueError, UnicodeError, StoreError) as err:
            refused[key] = f"it cannot be sent: {err}{_remedy(err)}"
    return written


def _remedy(err: Exception) -> str:
    if "Value out of range" not in str(err):
        return ""
    return "; gRPC has integers below 2**63: give it as text, or send it with a client by REST"


def _concern_all(reasons: Iterable[str]) -> bool:
    return all(any(words in reason for words in _OF_ALL) for reason in reasons)


def _refusals(refused: Mapping[PointId, str], count: int) -> str:
    named = "; ".join(f"{point}: {reason}" for point, reason in list(refused.items())[:10])
    return f"the server refused {len(refused)} of {count} points: {named}"
