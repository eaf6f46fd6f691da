"""What one ``add`` has done so far, and what it says at its end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from trivec._runtime.reports import frozen
from trivec.index.point_set import PointSet
from trivec.types import AddReport, PointId, Refusal

__all__ = ["Tally"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """The report while it grows.

    Attributes:
        reused: how many of ``added`` and ``updated`` have vectors that were stored before.
        seen: the points that were stored, or were there already.
        sources: how many of those each source has, where sources are replaced.
        protected: points whose new text was refused; their old one stays.
        incomplete: sources with a chunk that could not even be identified.
        displaced: points that belonged to another source before.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    reused: int = 0
    truncated: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    seen: PointSet = field(default_factory=PointSet)
    sources: Counter[str] = field(default_factory=Counter)
    protected: set[PointId] = field(default_factory=set)
    incomplete: set[str] = field(default_factory=set)
    displaced: int = 0

    def refuse(self, identity: str, reason: str) -> None:
        """Note that a chunk is not stored."""
        self.refused.append(Refusal(identity, reason))

    def take_back(
        self,
        reasons: Mapping[PointId, str],
        ids: Mapping[PointId, str],
        created: Collection[PointId],
    ) -> None:
        """Count points as refused that were counted as written.

        Args:
            reasons: why the engine did not take them.
            ids: their chunks' ids.
            created: those that were counted as added.
        """
        for key, reason in reasons.items():
            if key in created:
                self.added -= 1
            else:
                self.updated -= 1
            self.refuse(ids[key], reason)

    def report(self) -> AddReport:
        """Return the report, and warn of what a caller may overlook in it."""
        if self.truncated:
            logger.warning(
                "%d passages are longer than the model reads; the rest of each is found by BM25 "
                "alone. Their ids are in the report's 'truncated'; split them into shorter ones",
                len(self.truncated),
            )
        if self.displaced:
            logger.warning(
                "%d passages took the place of another source's passage with the same id: ids "
                "here are one for the whole collection. Copied into a new one, each source has "
                "its own",
                self.displaced,
            )
        return frozen(AddReport, self)
