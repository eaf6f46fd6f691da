"""What every protocol can write and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trivec.query import Filter
from trivec.types import Point, PointId

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

__all__ = ["Body", "Exchange", "Wire"]

Body = Mapping[str, Any]
"""A search in the form of Qdrant's REST interface; vectors are trivec's own."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what its answer means.

    Attributes:
        send: takes the client; an asynchronous one's answer is awaited.
        read: returns what the answer says.
        within: sends it and gives up after so many seconds, connecting included; None: a client
            that cannot, since its own timeout bounds one read of a socket alone.
    """

    send: Callable[[QdrantClient | AsyncQdrantClient], Any]
    read: Callable[[Any], Any]
    within: Callable[[QdrantClient | AsyncQdrantClient, float], Any] | None = None


class Wire(Protocol):
    """Writes points and searches once, so that their size is known and halves need no more."""

    def point(self, point: Point) -> Any:
        """Write a point with its vectors and payload."""

    def vectors(self, point: Point) -> Any:
        """Write the vectors of a point."""

    def search(self, body: Body) -> Any:
        """Write a search."""

    def size(self, item: Any) -> int:
        """Return the bytes of what was written; 0 where nothing limits them."""

    def upsert(self, collection: str, points: Sequence[Any], timeout: int) -> Exchange:
        """Insert points or replace them; the answer is an ``UpdateResult``."""

    def update_vectors(
        self, collection: str, points: Sequence[Any], where: Filter | None, timeout: int
    ) -> Exchange:
        """Set vectors of the points that match; the answer is an ``UpdateResult``."""

    def query(
        self, collection: str, searches: Sequence[Any], names: Sequence[Sequence[str] | None]
    ) -> Exchange:
        """Run searches; the answer is a list of stored points for each, with vectors by name.

        Where the names are None, it is a ranking: ids and scores.
        """

    def retrieve(self, collection: str, ids: Sequence[PointId], names: Sequence[str]) -> Exchange:
        """Read points; the answer is a list of stored points, with vectors by name."""
