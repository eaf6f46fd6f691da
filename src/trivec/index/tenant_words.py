"""How rare words are among a tenant's own passages.

An engine's IDF counts the passages of all tenants, so a score would tell one tenant how many of
another's passages hold a word. A collection with tenants therefore stores BM25 without it, and
the query's words are weighed here, by a sample of the tenant's own passages. What a sample of 128
costs in quality: docs/tenants.md.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from trivec.arms import BM25
from trivec.index.steps import Steps, read
from trivec.query import Filter
from trivec.schema import VectorSpec
from trivec.types import SparseVector, Vector

__all__ = ["SAMPLE", "Rarity", "RarityByTenant", "rarity_steps"]

SAMPLE = 128
"""Passages that are read. Point ids of tenants are hashes, so the first of them are any."""

KEPT_S = 600.0
"""Seconds for which a whole sample is kept; a smaller one is read again for every search."""


@dataclass(frozen=True, slots=True)
class Rarity:
    """In how many of some passages each word stands.

    Attributes:
        passages: how many were read.
        holding: by index of a word, how many of them hold it.
    """

    passages: int
    holding: Mapping[int, int]

    def weighed(self, vectors: Mapping[str, Vector]) -> dict[str, Vector]:
        """Return a query's vectors by arm, BM25's multiplied by the IDF of each word."""
        words = cast("SparseVector | None", vectors.get(BM25.name))
        if words is None:
            return dict(vectors)
        factors = np.array([self._idf(index) for index in words.indices.tolist()], np.float32)
        return {**vectors, BM25.name: SparseVector(words.indices, words.values * factors)}

    def _idf(self, index: int) -> float:
        """Return the IDF as Qdrant defines it."""
        count = self.holding.get(index, 0)
        return math.log((self.passages - count + 0.5) / (count + 0.5) + 1)


@dataclass(slots=True)
class RarityByTenant:
    """What was read of each tenant, and when."""

    _read: dict[str | None, tuple[float, Rarity]] = field(default_factory=dict)

    def of(self, tenant: str | None) -> Rarity | None:
        """Return what is known of a tenant's words, unless it is too old."""
        at, rarity = self._read.get(tenant, (-math.inf, None))
        return rarity if time.monotonic() - at < KEPT_S else None

    def keep(self, tenant: str | None, rarity: Rarity) -> None:
        """Keep it where more passages would not change much."""
        if rarity.passages >= SAMPLE:
            self._read[tenant] = (time.monotonic(), rarity)


def rarity_steps(
    spec: VectorSpec | None, known: RarityByTenant, tenant: str | None, scope: Filter | None
) -> Steps[Rarity | None]:
    """Read how rare words are among the tenant's passages; None where the engine counts them.

    Args:
        spec: the vectors of BM25, None without that arm.
        known: what was read before; what is read now is kept there.
        tenant: whose passages.
        scope: the filter that holds their points.
    """
    if spec is None or spec.idf:
        return None
    rarity = known.of(tenant)
    if rarity is not None:
        return rarity
    name = spec.name
    points, _ = yield from read(
        lambda store: store.scroll(filter=scope, limit=SAMPLE, with_vectors=(name,))
    )
    vectors = [
        cast("SparseVector", point.vectors[name]) for point in points if name in point.vectors
    ]
    holding = Counter(index for vector in vectors for index in vector.indices.tolist())
    rarity = Rarity(len(vectors), holding)
    known.keep(tenant, rarity)
    return rarity
