"""Where points are kept: Qdrant's engine in this process, or a Qdrant server.

A store is built from a path or a client, which opens nothing; the first use does.
"""

from trivec.payloads.trivec import PayloadCodec
from trivec.stores.edge.store import EdgeStore
from trivec.stores.filters import as_filter
from trivec.stores.server.failures import RetryPolicy
from trivec.stores.server.store import ServerStore
from trivec.stores.server.store_async import AsyncServerStore

__all__ = [
    "AsyncServerStore",
    "EdgeStore",
    "PayloadCodec",
    "RetryPolicy",
    "ServerStore",
    "as_filter",
]
