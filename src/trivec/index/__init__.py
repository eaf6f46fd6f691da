"""A collection of passages: opened, added to, searched, copied, for threads and for asyncio."""

from __future__ import annotations

from trivec.index.adding import AddOptions, ColbertOverflow, Progress
from trivec.index.aio import AsyncHybridIndex
from trivec.index.hybrid import DEFAULT_SEARCH, HybridIndex, IndexConfig

__all__ = [
    "DEFAULT_SEARCH",
    "AddOptions",
    "AsyncHybridIndex",
    "ColbertOverflow",
    "HybridIndex",
    "IndexConfig",
    "Progress",
]
