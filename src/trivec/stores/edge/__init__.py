"""The embedded store: Qdrant's own engine in this process, one folder on disk."""

from __future__ import annotations

from trivec.stores.edge.store import EdgeStore

__all__ = ["EdgeStore"]
