"""ColBERT scores of a block of questions: the rows of all passages in memory, each pair once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, cast

import numpy as np

from trivec.protocols import Store
from trivec.query import Ranking
from trivec.types import FloatArray, PointId

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rescoring", "Rows", "sums_of_best"]

MOST_ROWS = 600_000
"""Rows of ColBERT vectors that are kept; of 384 numbers they take 0.9 GB."""

PAGE = 64


@dataclass(slots=True)
class Rescoring:
    """A multivector's scores of candidates: ``(rows, dim)``, and whom they are wanted of."""

    using: str
    vector: FloatArray
    candidates: Sequence[PointId]
    ranking: Ranking = field(default_factory=list)


@dataclass(slots=True)
class _Scored:
    """A query, ``(rows, dim)``, the scores it has, and whom it has none of."""

    using: str
    unit: FloatArray
    scores: dict[PointId, float] = field(default_factory=dict)
    missing: dict[PointId, None] = field(default_factory=dict)


class Rows:
    """The ColBERT vectors of all points, where they fit, and the scores of some queries.

    Every use of ColBERT vectors wants the scores of nearly the same passages. They are kept until
    ``forget``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_name: dict[str, dict[PointId, FloatArray] | None] = {}
        self._scored: dict[Hashable, _Scored] = {}
        self.ids: list[PointId] = []

    def hold(self, name: str) -> bool:
        """Say whether the vectors of a name are here; the first call reads them."""
        if name not in self._by_name:
            self._by_name[name] = self._all(name)
        return self._by_name[name] is not None

    def forget(self) -> None:
        """Forget the scores so far."""
        self._scored.clear()

    def score(self, wanted: Sequence[Rescoring]) -> None:
        """Give some searches their rankings, each pair of query and passage scored once."""
        queries = [self._query(one) for one in wanted]
        for query, one in zip(queries, wanted, strict=True):
            known = query.scores
            query.missing.update((key, None) for key in one.candidates if key not in known)
        self._complete([one for one in self._scored.values() if one.missing])
        for query, one in zip(queries, wanted, strict=True):
            scores = query.scores
            ranking = [(key, scores[key]) for key in one.candidates if key in scores]
            one.ranking = sorted(ranking, key=itemgetter(1), reverse=True)

    def _query(self, wanted: Rescoring) -> _Scored:
        key = wanted.using, wanted.vector.tobytes()
        if key not in self._scored:
            self._scored[key] = _Scored(wanted.using, _unit(wanted.vector))
        return self._scored[key]

    def _complete(self, queries: Sequence[_Scored]) -> None:
        """Compute the scores that are missing, a passage at a time for all that want it."""
        if not queries:
            return
        bounds = np.cumsum([0, *(len(one.unit) for one in queries)])
        ranges = [np.arange(*ends) for ends in pairwise(bounds)]
        stacked = np.concatenate([one.unit for one in queries])
        by_passage: dict[PointId, list[int]] = defaultdict(list)
        for at, one in enumerate(queries):
            for key in one.missing:
                by_passage[key].append(at)
            one.missing.clear()
        for key, users in by_passage.items():
            rows = (self._by_name[queries[users[0]].using] or {}).get(key)
            if rows is None:
                continue
            asked = stacked
            if len(users) < len(queries):
                asked = stacked[np.concatenate([ranges[at] for at in users])]
            starts = np.cumsum([0, *(len(ranges[at]) for at in users[:-1])])
            for at, total in zip(users, sums_of_best(asked, starts, rows), strict=True):
                queries[at].scores[key] = total

    def _all(self, name: str) -> dict[PointId, FloatArray] | None:
        vectors: dict[PointId, FloatArray] = {}
        offset: PointId | None = None
        rows, count = 0, self._store.count()
        while True:
            points, offset = self._store.scroll(limit=PAGE, offset=offset, with_vectors=[name])
            for point in points:
                if name in point.vectors:
                    vectors[point.id] = cast("FloatArray", point.vectors[name])
                    rows += len(vectors[point.id])
            if points and rows * count >= MOST_ROWS * max(len(vectors), 1):
                return None  # of the first pages one can tell that all would not fit
            if offset is None:
                self.ids = list(vectors)
                return vectors


def sums_of_best(asked: FloatArray, starts: NDArray[np.intp], passage: FloatArray) -> list[float]:
    """Return MaxSim of some queries, whose rows stand one after another, and a passage."""
    best = (asked @ passage.T).max(axis=1)
    return cast("list[float]", np.add.reduceat(best, starts).tolist())


def _unit(rows: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)
