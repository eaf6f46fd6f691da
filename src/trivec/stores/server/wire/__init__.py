"""How points and searches travel: each protocol writes trivec's values as they are sent.

qdrant-client's own models check and copy every number of a vector, which takes most of a client's
time. So a vector goes from its array into the request at once. Authentication, connections and
errors stay the client's: its lower doors send the requests.
"""

from __future__ import annotations

from typing import Any

from trivec.stores.server.wire.answers import bounded_answers, is_oversized
from trivec.stores.server.wire.exchange import Exchange, Wire
from trivec.stores.server.wire.models import ModelWire
from trivec.stores.server.wire.rest import RestWire

__all__ = ["Exchange", "Wire", "bounded_answers", "is_oversized", "wire_of"]


def wire_of(client: Any) -> Wire:
    """Return how a client sends; one without a server, or another's, is given models."""
    from qdrant_client import AsyncQdrantClient, QdrantClient
    from qdrant_client.async_qdrant_remote import AsyncQdrantRemote
    from qdrant_client.qdrant_remote import QdrantRemote

    inner = getattr(client, "_client", None)  # there is no public way
    is_remote = isinstance(inner, QdrantRemote | AsyncQdrantRemote)
    if not is_remote or not isinstance(client, QdrantClient | AsyncQdrantClient):
        return ModelWire()
    options = client.init_options
    if not options.get("prefer_grpc"):
        return RestWire()
    from trivec.stores.server.wire.grpc import GrpcWire

    return GrpcWire(options.get("timeout"))
