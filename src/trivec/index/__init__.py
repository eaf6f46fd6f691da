"""A collection of passages: opened, added to, searched, copied, for threads and for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec._runtime.lazy_names import lazy_attributes

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "trivec.index.aio": ("AsyncHybridIndex",),
        "trivec.index.checking": ("CheckReport", "check_index"),
        "trivec.index.config": ("IndexConfig",),
        "trivec.index.hybrid": ("HybridIndex",),
        "trivec.index.options": ("DEFAULT_SEARCH", "ColbertOverflow", "Progress"),
    },
)
