"""A collection of passages: opened, added to, searched, copied, for threads and for asyncio."""

from __future__ import annotations

from trivec.index.adding import ColbertOverflow, Progress
from trivec.index.aio import AsyncHybridIndex
from trivec.index.checking import CheckReport, check_index
from trivec.index.hybrid import HybridIndex, IndexConfig
from trivec.index.options import DEFAULT_SEARCH

__all__ = [
    "DEFAULT_SEARCH",
    "AsyncHybridIndex",
    "CheckReport",
    "ColbertOverflow",
    "HybridIndex",
    "IndexConfig",
    "Progress",
    "check_index",
]
