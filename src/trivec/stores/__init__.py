"""Where points are kept: Qdrant's engine in this process, or a Qdrant server.

A store is built from a path or a client, which opens nothing; the first use does.
"""

from trivec.stores._payload import PayloadCodec
from trivec.stores._retry import RetryPolicy
from trivec.stores.edge import EdgeStore
from trivec.stores.server import ServerStore
from trivec.stores.server_async import AsyncServerStore

__all__ = ["AsyncServerStore", "EdgeStore", "PayloadCodec", "RetryPolicy", "ServerStore"]
