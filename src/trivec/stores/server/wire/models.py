"""Through qdrant-client's public methods: for its local mode, and what stands in for a client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trivec.query import Filter
from trivec.stores.records import point_id_of
from trivec.stores.server import requests
from trivec.stores.server.wire.exchange import Body, Exchange
from trivec.types import Point, PointId

__all__ = ["ModelWire"]


class ModelWire:
    """Points and searches as the client's models."""

    def point(self, point: Point) -> Any:
        """Write a point with its vectors and payload."""
        return requests.point_struct(point)

    def vectors(self, point: Point) -> Any:
        """Write the vectors of a point."""
        return requests.vector_struct(point)

    def search(self, body: Body) -> Any:
        """Write a search."""
        return requests.query_model(body)

    def size(self, item: Any) -> int:  # noqa: ARG002  # as the others
        """Return 0: nothing is sent."""
        return 0

    def upsert(self, collection: str, points: Sequence[Any], timeout: int) -> Exchange:
        """Insert points or replace them."""
        return Exchange(
            lambda client: client.upsert(collection, list(points), wait=True, timeout=timeout),
            lambda answer: answer,
        )

    def update_vectors(
        self, collection: str, points: Sequence[Any], where: Filter | None, timeout: int
    ) -> Exchange:
        """Set vectors of the points that match."""
        return Exchange(
            lambda client: client.update_vectors(
                collection, list(points), update_filter=where, wait=True, timeout=timeout
            ),
            lambda answer: answer,
        )

    def query(
        self, collection: str, searches: Sequence[Any], names: Sequence[Sequence[str] | None]
    ) -> Exchange:
        """Run searches."""
        return Exchange(
            lambda client: client.query_batch_points(collection, list(searches)),
            lambda answers: [
                [(point_id_of(point.id), point.score) for point in answer.points]
                if wanted is None
                else [requests.stored_point(point, wanted) for point in answer.points]
                for answer, wanted in zip(answers, names, strict=True)
            ],
        )

    def retrieve(self, collection: str, ids: Sequence[PointId], names: Sequence[str]) -> Exchange:
        """Read points."""
        selector = requests.vector_selector(names)
        return Exchange(
            lambda client: client.retrieve(
                collection, ids, with_payload=True, with_vectors=selector
            ),
            lambda records: [requests.stored_point(record, names) for record in records],
        )
