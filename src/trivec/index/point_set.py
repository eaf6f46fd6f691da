"""A set of point ids in 8 bytes each: what one ``add`` has dealt with, however long it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from trivec.types import PointId

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PointSet"]

_BYTES = 8


class PointSet:
    """Point ids as hashes of 64 bits, in sorted runs of which each is longer than the next.

    Of n ids, two share a hash with a probability of n²/2⁶⁵: 3 in 100 million for a million ids.
    Growing needs the room of the set once more.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    @property
    def nbytes(self) -> int:
        """The memory that the ids take."""
        return sum(run.nbytes for run in self._runs)

    def add(self, ids: Collection[PointId]) -> None:
        """Take in ids that are not in here yet."""
        run = np.sort(_hashes(ids))
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate((self._runs.pop(), run)), kind="stable")
        if len(run):
            self._runs.append(run)

    def among(self, ids: Collection[PointId]) -> set[PointId]:
        """Return those of the ids that are in here."""
        hashes = _hashes(ids)
        held = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            held |= run[places] == hashes
        return {identity for identity, known in zip(ids, held.tolist(), strict=True) if known}


def _hashes(ids: Iterable[PointId]) -> NDArray[np.uint64]:
    digests = (blake2b(str(identity).encode(), digest_size=_BYTES).digest() for identity in ids)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
