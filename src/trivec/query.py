"""A search as the stores understand it: which vectors are looked up and how they are fused.

Stores translate a :class:`StoreQuery` into one request of Qdrant's Query API: a prefetch for every
(query text x arm), fused at the root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from trivec._runtime.checks import check_least
from trivec._runtime.typed import check_fields
from trivec.conditions import qdrant
from trivec.errors import InputError
from trivec.fusion import Fusion
from trivec.types import FloatArray, PointId, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["Filter", "Prefetch", "RankedList", "Ranking", "StoreQuery", "qdrant"]

Filter: TypeAlias = "models.Filter"
"""A condition of Qdrant's on payloads: ``qdrant_client.models.Filter``.

Where the program did not import qdrant-client, trivec builds filters of ``qdrant``.
"""

Ranking: TypeAlias = list[tuple[PointId, float]]
"""Ids with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Candidates of one vector.

    Attributes:
        using: the vector's name.
        vector: what to look for; a ``(rows, dim)`` array asks for MaxSim.
        limit: how many candidates.
        threshold: the least score of a candidate.
        over_candidates: score the union of the other prefetches' candidates, not the collection;
            for multivectors, which have no index of their own.
    """

    using: str
    vector: Vector
    limit: int
    threshold: float | None = None
    over_candidates: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("limit", self.limit, 1)


@dataclass(frozen=True, slots=True)
class StoreQuery:
    """One search.

    Attributes:
        prefetches: at least one.
        fusion: how several lists become one; None with a single prefetch or with ``rescore``.
        rescore: order the candidates by this vector alone: its name and a ``(rows, dim)`` array.
        limit: how many results.
        offset: how many to skip.
        filter: AND-ed into every prefetch.
        with_vectors: names of the vectors to return.
        exact: no approximate index.
        evidence: of how many of the best ``Store.rank`` returns ``with_vectors``.
    """

    prefetches: tuple[Prefetch, ...]
    limit: int
    fusion: Fusion | None = None
    rescore: tuple[str, FloatArray] | None = None
    offset: int = 0
    filter: Filter | None = None
    with_vectors: tuple[str, ...] = ()
    exact: bool = False
    evidence: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("limit", "offset", "evidence"):
            check_least(name, getattr(self, name), 0)
        if not self.prefetches:
            raise InputError("prefetches=(); allowed: at least one")

    @property
    def depth(self) -> int:
        """How long a list to be fused is at most: as many points as the deepest prefetch."""
        return max(prefetch.limit for prefetch in self.prefetches)


@dataclass(frozen=True, slots=True)
class RankedList:
    """A list to be fused, without payloads: a hundred candidates for each result are no points.

    Attributes:
        ranking: ids with their scores, best first.
        evidence: the best of them with the vectors that were asked for, best first.
    """

    ranking: Ranking
    evidence: list[StoredPoint] = field(default_factory=list)
