"""Passages, the points that they are stored as, and what became of those that were added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trivec._showing.tables import figures, table
from trivec._showing.texts import visible
from trivec.errors import InputError
from trivec.types.vectors import Vector

__all__ = ["AddReport", "Chunk", "Point", "PointId", "Refusal", "StoredPoint", "refusals_table"]

LISTED = 20
"""Chunks that a table names; the rest is counted."""

PointId: TypeAlias = int | str
"""What Qdrant takes: an unsigned integer, or a UUID in its canonical text form."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of text, the unit that is stored and found.

    Attributes:
        text: the passage.
        id: the caller's own id; without one it follows from ``source`` and ``position``.
        source: what the passage came from, a path or URL.
        position: its ordinal number within the source.
        metadata: any JSON values, given back as they were.
        extra: JSON values that a framework's adapter keeps beside the metadata (a LlamaIndex node
            with its type and relationships); given back as they were, not for filters.
    """

    text: str
    id: str | None = None
    source: str | None = None
    position: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """One record to be stored: an id, its named vectors and its payload."""

    id: PointId
    vectors: Mapping[str, Vector]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """One record read back; ``score`` is set by a query, ``vectors`` only when asked for."""

    id: PointId
    payload: Mapping[str, Any]
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A chunk that was not stored, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the chunks of one ``add``.

    Attributes:
        added: new points.
        updated: points whose text or metadata changed.
        skipped: chunks that were there already, unchanged; they were not encoded.
        deleted: points removed because their source no longer holds them.
        truncated: ids of chunks longer than the model reads; they were stored.
        refused: chunks that were not stored, with the reason.
        reused: how many of those added or updated took the vectors of a passage with the same
            text, such as one of a file that was moved; they were not encoded.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    truncated: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    reused: int = 0

    @property
    def given(self) -> int:
        """How many chunks were given: each was added, updated, skipped or refused."""
        return self.added + self.updated + self.skipped + len(self.refused)

    def require_complete(self) -> None:
        """Raise where chunks were refused, for callers that promise to store all or fail.

        Raises:
            InputError: names the chunks and the reasons.
        """
        if self.refused:
            listing = "; ".join(f"{refusal.id}: {refusal.reason}" for refusal in self.refused)
            raise InputError(
                f"{len(self.refused)} passages were refused, the others are stored: {listing}. "
                "Mend or leave out these; adding the rest again does no harm"
            )

    def _repr_html_(self) -> str:
        counts = [
            (name, f"{getattr(self, name):,}")
            for name in ("given", "added", "updated", "skipped", "deleted", "reused")
        ]
        counts.append(("refused", f"{len(self.refused):,}"))
        cut = f"{len(self.truncated):,} {', '.join(self.truncated[:LISTED])}"
        counts.append(("truncated", cut.strip() + (" …" if len(self.truncated) > LISTED else "")))
        shown = figures(counts, "Chunks given, and what became of them")
        return shown + refusals_table("Refused", self.refused)


def refusals_table(title: str, refusals: Sequence[Refusal]) -> str:
    """Return which chunks were refused and why, for a notebook; nothing where there are none."""
    if not refusals:
        return ""
    rest = len(refusals) - LISTED
    title = title if rest <= 0 else f"{title}, the first {LISTED} of {len(refusals):,}"
    rows = [(visible(one.id), visible(one.reason)) for one in refusals[:LISTED]]
    return table(("chunk", "reason"), rows, title)
