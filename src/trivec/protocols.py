"""What the core needs of the outside, as structural types: bring your own implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from trivec.query import Filter, RankedList, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.types import (
    ALL_HEADS,
    ChatReply,
    EncoderInfo,
    Encoding,
    Head,
    Point,
    PointId,
    StoredPoint,
    Vector,
)

__all__ = [
    "AsyncChatModel",
    "AsyncStore",
    "ChatModel",
    "Encoder",
    "LongEncoder",
    "Reranker",
    "Secret",
    "Store",
]


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into dense, sparse and ColBERT vectors in one forward pass.

    Implementations are safe to call from several threads, keep the order of the texts, return an
    empty list for an empty list, and load their model at the first call, not at construction.
    """

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors; may read files, loads no model weights into memory."""
        ...

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages, one forward for all heads."""
        ...

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries, one forward for all heads."""
        ...

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices."""
        ...


@runtime_checkable
class LongEncoder(Encoder, Protocol):
    """An :class:`Encoder` that can read a whole document for each of its passages."""

    def encode_long(
        self,
        document: str,
        spans: Sequence[tuple[int, int]],
        *,
        heads: Sequence[Head] = ALL_HEADS,
    ) -> list[Encoding]:
        """Encode a document once; one encoding for each span of characters, in order."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores passages against a query by reading both."""

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return a score for every passage, higher is better; [] for no passages."""
        ...


@runtime_checkable
class ChatModel(Protocol):
    """A language model that answers a list of ``{"role": ..., "content": ...}`` messages.

    Implementations are safe to call from several threads and open no connection before a call.
    """

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer.

        Args:
            messages: the conversation so far.
            schema: a JSON schema that the answer's text should follow. A wish: what cannot
                promise it answers freely, so that the caller reads the text tolerantly.
        """
        ...

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        """Yield the answer piece by piece; the last piece may be empty and has the token counts."""
        ...


@runtime_checkable
class AsyncChatModel(Protocol):
    """A :class:`ChatModel` whose answers are awaited."""

    async def achat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer; see :meth:`ChatModel.chat`."""
        ...

    def astream(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[ChatReply]:
        """Yield the answer piece by piece; see :meth:`ChatModel.stream`."""
        ...


class Store(Protocol):
    """A collection of points with named vectors; every write is durable when it returns.

    A store is given built (a path or a client); :attr:`schema` is None until :meth:`create`.
    """

    @property
    def schema(self) -> Schema | None:
        """What the collection holds; None when it does not exist yet."""
        ...

    def create(self, schema: Schema) -> None:
        """Create the collection with its vectors, payload indexes and description."""
        ...

    def describe(self, schema: Schema) -> None:
        """Replace the collection's description; its vectors and points are not touched."""
        ...

    def ensure_payload_indexes(self, indexes: Mapping[str, str]) -> bool:
        """Make the payload indexes that are missing: path to index type; the schema's own too.

        Returns:
            Whether all are there now; False where the user's key may not make them.
        """
        ...

    def vectors(self) -> Mapping[str, VectorSpec]:
        """Return every vector of the collection by name, those outside the schema too."""
        ...

    def create_vector(self, spec: VectorSpec) -> None:
        """Add a named vector, which no point has yet; it is written once the schema names it.

        Creating the same vector again changes nothing.

        Raises:
            StoreError: another vector has the name.
        """
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole.

        Raises:
            InvalidVectorError: before anything is written.
        """
        ...

    def update_vectors(
        self,
        vectors: Mapping[PointId, Mapping[str, Vector]],
        *,
        where: Filter | None = None,
    ) -> None:
        """Set some vectors of existing points, of those that match; all else of them stays.

        Raises:
            InvalidVectorError: before anything is written.
            StoreError: a point does not exist; the others were written.
        """
        ...

    def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points, vectors untouched."""
        ...

    def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches; one list of results for each, best first."""
        ...

    def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches, each as long as its deepest prefetch."""
        ...

    def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in no promised order."""
        ...

    def scroll(
        self,
        *,
        filter: Filter | None = None,
        limit: int = 256,
        offset: PointId | None = None,
        with_vectors: Sequence[str] = (),
    ) -> tuple[list[StoredPoint], PointId | None]:
        """Return a page of points in id order, and the id that the next page starts at."""
        ...

    def delete(
        self,
        *,
        ids: Sequence[PointId] | None = None,
        filter: Filter | None = None,
    ) -> None:
        """Delete by ids or by filter; exactly one is given."""
        ...

    def count(self, filter: Filter | None = None) -> int:
        """Return the exact number of points."""
        ...

    def optimize(self) -> None:
        """Build indexes and drop deleted points now; does nothing where the server does it."""
        ...

    def sibling(self, name: str) -> Store | None:
        """Return the store of another collection that lies beside this one, under a name.

        None where there is no such place.
        """
        ...

    def close(self) -> None:
        """Release files and locks; a client that was given is left open."""
        ...


class AsyncStore(Protocol):
    """A :class:`Store` whose operations are awaited; the collection exists already."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Insert points or replace them whole."""
        ...

    async def update_vectors(
        self,
        vectors: Mapping[PointId, Mapping[str, Vector]],
        *,
        where: Filter | None = None,
    ) -> None:
        """Set some vectors of existing points, of those that match."""
        ...

    async def overwrite_payload(self, payloads: Mapping[PointId, Mapping[str, Any]]) -> None:
        """Replace the payload of existing points."""
        ...

    async def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches."""
        ...

    async def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches."""
        ...

    async def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist."""
        ...

    async def scroll(
        self,
        *,
        filter: Filter | None = None,
        limit: int = 256,
        offset: PointId | None = None,
        with_vectors: Sequence[str] = (),
    ) -> tuple[list[StoredPoint], PointId | None]:
        """Return a page of points in id order, and the id that the next page starts at."""
        ...

    async def delete(
        self, *, ids: Sequence[PointId] | None = None, filter: Filter | None = None
    ) -> None:
        """Delete by ids or by filter."""
        ...

    async def count(self, filter: Filter | None = None) -> int:
        """Return the exact number of points."""
        ...

    async def close(self) -> None:
        """End the use of the store; a client that was given is left open."""
        ...


class Secret(Protocol):
    """A key that shows itself only when asked: pydantic's ``SecretStr``, or anything like it."""

    def get_secret_value(self) -> str:
        """Return the key."""
        ...
