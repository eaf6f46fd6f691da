"""The server stores: a collection behind a Qdrant client that the caller has built."""

from __future__ import annotations

from trivec.stores.server.failures import RetryPolicy
from trivec.stores.server.store import ServerStore
from trivec.stores.server.store_async import AsyncServerStore

__all__ = ["AsyncServerStore", "RetryPolicy", "ServerStore"]
