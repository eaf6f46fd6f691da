"""Where points are kept: Qdrant's engine in this process, or a Qdrant server.

A store is built from a path or a client, which opens nothing; the first use does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec._runtime.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from trivec.stores.edge import EdgeStore
    from trivec.stores.filters import as_filter
    from trivec.stores.server import AsyncServerStore, RetryPolicy, ServerStore

__all__ = [
    "AsyncServerStore",
    "EdgeStore",
    "RetryPolicy",
    "ServerStore",
    "as_filter",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "trivec.stores.edge": ("EdgeStore",),
        "trivec.stores.filters": ("as_filter",),
        "trivec.stores.server": ("AsyncServerStore", "RetryPolicy", "ServerStore"),
    },
)
