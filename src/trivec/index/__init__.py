"""A collection of passages: opened, added to, searched, copied, for threads and for asyncio."""

from __future__ import annotations

from trivec.index.aio import AsyncHybridIndex
from trivec.index.checking import CheckReport, check_index
from trivec.index.config import IndexConfig
from trivec.index.hybrid import HybridIndex
from trivec.index.options import DEFAULT_SEARCH, ColbertOverflow, Progress

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
