"""The calls of qdrant-client that a store is made of, as typed requests.

``info = yield from calls.info()`` has the type of the client's own answer. The synchronous and the
asynchronous client have the same methods, so that one call serves both.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypedDict, TypeVar

from trivec.query import Filter
from trivec.stores.server import requests
from trivec.stores.server.failures import NotAppliedError, WaitTimeoutError
from trivec.stores.server.wire import Exchange, Wire
from trivec.types import PointId, StoredPoint

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient, models

__all__ = ["Calls", "Operation", "Request", "require_applied"]

T = TypeVar("T")

_WRITE_TIMEOUT = 60  # seconds for one request; the client's own default of 5 suits reads


class _Applied(TypedDict):
    wait: bool
    timeout: int


def _nothing(_answer: object) -> None:
    """Accept any answer."""


def _itself(answer: Any) -> Any:
    return answer


def require_applied(result: Any) -> None:
    """Raise when a write was only accepted: it may not be stored.

    Raises:
        WaitTimeoutError: it was not applied in time.
        NotAppliedError: it was acknowledged alone, though the server was asked to apply it first.
    """
    outcomes = result if isinstance(result, list) else [result]
    states = {getattr(outcome, "status", None) for outcome in outcomes}
    if "wait_timeout" in states:
        raise WaitTimeoutError
    if "acknowledged" in states:
        raise NotAppliedError(
            "the Qdrant server acknowledged the write and did not say that it is stored; look "
            "whether something between the client and the server drops 'wait=true', and run it "
            "again"
        )


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call of the client.

    Attributes:
        call: takes the client, of either kind; it is called again for every try.
        within: the same, ended by the client itself after so many seconds; None: it cannot.
        write: whether it has the deadline of writes.
        check: raises where what the answer says is no success.
        read: returns what an answer says.
    """

    call: Callable[[QdrantClient | AsyncQdrantClient], T | Awaitable[T]]
    within: Callable[[QdrantClient | AsyncQdrantClient, float], T | Awaitable[T]] | None = None
    write: bool = False
    check: Callable[[Any], None] = _nothing
    read: Callable[[Any], Any] = _itself

    def checked(self, answer: Any) -> Any:
        """Return what an answer says, where it is a success."""
        result = self.read(answer)
        self.check(result)
        return result


Operation: TypeAlias = Generator[Request[Any], Any, T]


class Calls:
    """The client's methods for one collection; every write waits until it is applied.

    Args:
        collection: the collection's name.
        wire: writes points and searches.
        patience: seconds that a write may take.
    """

    def __init__(self, collection: str, wire: Wire, patience: float = _WRITE_TIMEOUT) -> None:
        self._name = collection
        self._wire = wire
        asked = min(patience, _WRITE_TIMEOUT) if patience > 0 else _WRITE_TIMEOUT
        self._timeout = max(1, math.ceil(asked))

    @property
    def _applied(self) -> _Applied:
        """The options of a write that is answered once the change is durable."""
        return _Applied(wait=True, timeout=self._timeout)

    def allow(self, timeout: int | None) -> None:
        """Keep to the longest timeout that the collection allows a request."""
        if timeout is not None:
            self._timeout = min(self._timeout, timeout)

    def version(self) -> Operation[models.VersionInfo]:
        """Read the server's version."""
        return _read(lambda client: client.info())

    def exists(self) -> Operation[bool]:
        """Ask whether the collection exists."""
        return _read(lambda client: client.collection_exists(self._name))

    def info(self, *, patient: bool = False) -> Operation[models.CollectionInfo]:
        """Read the collection's configuration; before a write, as patiently as that."""
        answer: models.CollectionInfo = yield Request(
            lambda client: client.get_collection(self._name), write=patient
        )
        return answer

    def create(
        self,
        vectors: Mapping[str, models.VectorParams],
        sparse: Mapping[str, models.SparseVectorParams],
        metadata: dict[str, Any],
    ) -> Operation[None]:
        """Create the collection."""
        return _write(
            lambda client: client.create_collection(
                self._name,
                vectors_config=vectors,
                sparse_vectors_config=sparse,
                metadata=metadata,
                timeout=self._timeout,
            )
        )

    def update(
        self,
        *,
        metadata: dict[str, Any] | None = None,
        vectors: dict[str, models.VectorParamsDiff] | None = None,
    ) -> Operation[None]:
        """Change the collection's metadata or the settings of its vectors."""
        return _write(
            lambda client: client.update_collection(
                self._name, metadata=metadata, vectors_config=vectors, timeout=self._timeout
            )
        )

    def create_payload_index(self, path: str, kind: Any) -> Operation[None]:
        """Index the values at a payload path."""
        return _write(
            lambda client: client.create_payload_index(
                self._name, path, field_schema=kind, **self._applied
            )
        )

    def create_vector(self, name: str, config: models.VectorNameConfig) -> Operation[None]:
        """Add a named vector."""
        return _write(
            lambda client: client.create_vector_name(self._name, name, config, **self._applied)
        )

    def upsert(self, points: Sequence[Any]) -> Operation[None]:
        """Send points that the wire has written."""
        exchange = self._wire.upsert(self._name, points, self._timeout)
        yield _exchanged(exchange, write=True)

    def update_vectors(self, vectors: Sequence[Any], where: Filter | None) -> Operation[None]:
        """Send some vectors of the points that match, as the wire has written them."""
        exchange = self._wire.update_vectors(self._name, vectors, where, self._timeout)
        yield _exchanged(exchange, write=True)

    def batch_update(self, operations: Sequence[models.UpdateOperation]) -> Operation[None]:
        """Change points by several operations."""
        return _write(
            lambda client: client.batch_update_points(self._name, operations, **self._applied)
        )

    def delete(self, selector: models.PointsSelector) -> Operation[None]:
        """Delete points."""
        return _write(lambda client: client.delete(self._name, selector, **self._applied))

    def query(
        self, searches: Sequence[Any], names: Sequence[Sequence[str] | None]
    ) -> Operation[list[Any]]:
        """Run several searches that the wire has written; see ``Wire.query``."""
        exchange = self._wire.query(self._name, searches, names)
        found: list[Any] = yield _exchanged(exchange)
        return found

    def seen(
        self, ids: Sequence[PointId], check: Callable[[list[models.Record]], None]
    ) -> Operation[None]:
        """Read points until they are as a write was to leave them, or its deadline has passed."""
        yield Request(
            lambda client: client.retrieve(self._name, ids, with_payload=True),
            write=True,
            check=check,
        )

    def none_match(self, filter: Filter) -> Operation[None]:
        """Look for a point until none matches, or the deadline of a write has passed."""

        def check(page: tuple[list[models.Record], Any]) -> None:
            if page[0]:
                raise WaitTimeoutError

        yield Request(
            lambda client: client.scroll(
                self._name, scroll_filter=filter, limit=1, with_payload=False
            ),
            write=True,
            check=check,
        )

    def retrieve(
        self, ids: Sequence[PointId], with_vectors: Sequence[str]
    ) -> Operation[list[StoredPoint]]:
        """Read points by their ids."""
        points: list[StoredPoint] = yield _exchanged(
            self._wire.retrieve(self._name, ids, with_vectors)
        )
        return points

    def scroll(
        self,
        filter: Filter | None,
        limit: int,
        offset: PointId | None,
        with_vectors: Sequence[str],
        *,
        with_payload: bool = True,
    ) -> Operation[tuple[list[models.Record], Any]]:
        """Read a page of points, and where the next one begins."""
        return _read(
            lambda client: client.scroll(
                self._name,
                scroll_filter=filter,
                limit=limit,
                offset=offset,
                with_payload=with_payload,
                with_vectors=requests.vector_selector(with_vectors),
            )
        )

    def count(self, filter: Filter | None) -> Operation[models.CountResult]:
        """Count the points that match, exactly."""
        return _read(lambda client: client.count(self._name, count_filter=filter, exact=True))


def _exchanged(exchange: Exchange, *, write: bool = False) -> Request[Any]:
    check = require_applied if write else _nothing
    return Request(exchange.send, exchange.within, write, check, exchange.read)


def _read(
    call: Callable[[QdrantClient | AsyncQdrantClient], T | Awaitable[T]],
) -> Operation[T]:
    answer: T = yield Request(call)
    return answer


def _write(call: Callable[[QdrantClient | AsyncQdrantClient], object]) -> Operation[None]:
    yield Request(call, write=True, check=require_applied)
