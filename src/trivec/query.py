"""A search as the stores understand it: which vectors are looked up and how they are fused.

Stores translate a :class:`StoreQuery` into one request of Qdrant's Query API: a prefetch for every
(query text x arm), fused at the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from trivec.conditions import qdrant
from trivec.fusion import Fusion
from trivec.types import FloatArray, Vector

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["Filter", "Prefetch", "StoreQuery", "qdrant"]

Filter: TypeAlias = "models.Filter"
"""A condition of Qdrant's on payloads: ``qdrant_client.models.Filter``.

Where the program did not import qdrant-client, trivec builds filters of ``qdrant``.
"""


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
        candidates: return a list to be fused: as many points as the deepest prefetch, their ids,
            scores and ``with_vectors``, without payloads.
    """

    prefetches: tuple[Prefetch, ...]
    limit: int
    fusion: Fusion | None = None
    rescore: tuple[str, FloatArray] | None = None
    offset: int = 0
    filter: Filter | None = None
    with_vectors: tuple[str, ...] = ()
    exact: bool = False
    candidates: bool = False

    @property
    def most(self) -> int:
        """How many points are returned at most."""
        if not self.candidates:
            return self.limit
        return max(prefetch.limit for prefetch in self.prefetches)
