"""The values that pass between the parts of trivec: frozen dataclasses, numpy only."""

from __future__ import annotations

from trivec.types.passages import AddReport, Chunk, Point, PointId, Refusal, StoredPoint
from trivec.types.replies import ChatReply, Ending
from trivec.types.searches import (
    ColbertMode,
    Hit,
    Hits,
    MatchedTerm,
    QueryText,
    ScorePart,
    SearchOptions,
    SearchOverrides,
)
from trivec.types.vectors import (
    ALL_HEADS,
    EncoderInfo,
    Encoding,
    FloatArray,
    Head,
    SparseVector,
    Vector,
)

__all__ = [
    "ALL_HEADS",
    "AddReport",
    "ChatReply",
    "Chunk",
    "ColbertMode",
    "EncoderInfo",
    "Encoding",
    "Ending",
    "FloatArray",
    "Head",
    "Hit",
    "Hits",
    "MatchedTerm",
    "Point",
    "PointId",
    "QueryText",
    "Refusal",
    "ScorePart",
    "SearchOptions",
    "SearchOverrides",
    "SparseVector",
    "StoredPoint",
    "Vector",
]
