"""Batches of which a server takes some texts only: which ones, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from trivec.encoders.remote.calls import (
    RequestRefusedError,
    RequestTooLargeError,
    ServerFailedError,
)
from trivec.errors import ModelError

__all__ = ["Refused", "isolated"]

T = TypeVar("T")

ENOUGH = 3
"""Single texts that a server refuses before it took any: then the texts are not at fault."""

OfTexts = (RequestTooLargeError, RequestRefusedError, ServerFailedError)
"""What may be the fault of one text of a request."""


@dataclass(frozen=True, slots=True)
class Refused:
    """In the place of a text's vectors: why the server does not take it."""

    error: ModelError


Vectors: TypeAlias = list[Any]


def isolated(send: Callable[[Sequence[T]], Sequence[Any]], batch: Sequence[T]) -> Vectors:
    """Return what a server gives for a batch, in halves where it does not take the whole.

    Args:
        send: sends some of the texts, and returns something for each.
        batch: all of them.

    Returns:
        For each text what it gives, or ``Refused`` for one that it does not take alone.

    Raises:
        ModelError: it took none of the first three.
    """
    return _Isolation(send).of(batch)


class _Isolation:
    def __init__(self, send: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._send = send
        self._taken = 0
        self._refused = 0

    def of(self, batch: Sequence[Any]) -> Vectors:
        try:
            vectors = list(self._send(batch))
        except OfTexts as err:
            if len(batch) > 1:
                failure = None
            else:
                self._refused += 1
                if self._refused >= ENOUGH and not self._taken:
                    raise
                failure = Refused(err)
        else:
            self._taken += len(batch)
            return vectors
        if failure is not None:
            return [failure]
        middle = len(batch) // 2
        return [*self.of(batch[:middle]), *self.of(batch[middle:])]
