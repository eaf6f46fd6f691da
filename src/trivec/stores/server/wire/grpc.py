"""Messages over gRPC, through the client's own channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec.query import Filter
from trivec.stores.records import vector_of
from trivec.stores.server import requests
from trivec.stores.server.wire.exchange import Body, Exchange
from trivec.types import Point, PointId, SparseVector, StoredPoint, Vector

if TYPE_CHECKING:
    from qdrant_client import grpc as messages

__all__ = ["GrpcWire"]


class GrpcWire:
    """Points and searches as messages; the floats of a vector are copied as they lie.

    Args:
        timeout: seconds of a call, the client's own.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout

    def point(self, point: Point) -> messages.PointStruct:
        """Write a point with its vectors and payload."""
        from qdrant_client import grpc as messages
        from qdrant_client.conversions.conversion import RestToGrpc

        written = messages.PointStruct(
            id=_id(point.id), payload=RestToGrpc.convert_payload(dict(point.payload))
        )
        _write_vectors(written.vectors.vectors, point.vectors)
        return written

    def vectors(self, point: Point) -> messages.PointVectors:
        """Write the vectors of a point."""
        from qdrant_client import grpc as messages

        written = messages.PointVectors(id=_id(point.id))
        _write_vectors(written.vectors.vectors, point.vectors)
        return written

    def search(self, body: Body) -> messages.QueryPoints:
        """Write a search; the collection's name is set when it is sent."""
        from qdrant_client import grpc as messages
        from qdrant_client.conversions.conversion import RestToGrpc

        return messages.QueryPoints(
            offset=body.get("offset"),
            with_vectors=RestToGrpc.convert_with_vectors(body.get("with_vector", False)),
            with_payload=RestToGrpc.convert_with_payload_interface(body["with_payload"]),
            **_lookup(body),
        )

    def size(self, item: Any) -> int:
        """Return the bytes, and what precedes them."""
        return int(item.ByteSize()) + 8

    def upsert(self, collection: str, points: Sequence[Any], timeout: int) -> Exchange:
        """Insert points or replace them."""
        from qdrant_client import grpc as messages

        request = messages.UpsertPoints(
            collection_name=collection, wait=True, points=points, timeout=timeout
        )
        return self._update("Upsert", request)

    def update_vectors(
        self, collection: str, points: Sequence[Any], where: Filter | None, timeout: int
    ) -> Exchange:
        """Set vectors of the points that match."""
        from qdrant_client import grpc as messages
        from qdrant_client.conversions.conversion import RestToGrpc

        request = messages.UpdatePointVectors(
            collection_name=collection,
            wait=True,
            points=points,
            update_filter=None if where is None else RestToGrpc.convert_filter(where),
            timeout=timeout,
        )
        return self._update("UpdateVectors", request)

    def query(
        self, collection: str, searches: Sequence[Any], names: Sequence[Sequence[str] | None]
    ) -> Exchange:
        """Run searches."""
        from qdrant_client import grpc as messages

        for search in searches:
            search.collection_name = collection
        request = messages.QueryBatchPoints(collection_name=collection, query_points=searches)

        def read(answer: messages.QueryBatchResponse) -> list[Any]:
            return [
                [((key := point.id).uuid or key.num, point.score) for point in found.result]
                if wanted is None
                else [_stored(point, wanted) for point in found.result]
                for found, wanted in zip(answer.result, names, strict=True)
            ]

        return self._exchange("QueryBatch", request, read)

    def retrieve(self, collection: str, ids: Sequence[PointId], names: Sequence[str]) -> Exchange:
        """Read points."""
        from qdrant_client import grpc as messages
        from qdrant_client.conversions.conversion import RestToGrpc

        request = messages.GetPoints(
            collection_name=collection,
            ids=[_id(each) for each in ids],
            with_payload=messages.WithPayloadSelector(enable=True),
            with_vectors=RestToGrpc.convert_with_vectors(requests.vector_selector(names)),
        )
        return self._exchange(
            "Get", request, lambda answer: [_stored(point, names) for point in answer.result]
        )

    def _update(self, method: str, request: Any) -> Exchange:
        from qdrant_client.conversions.conversion import GrpcToRest

        return self._exchange(
            method, request, lambda answer: GrpcToRest.convert_update_result(answer.result)
        )

    def _exchange(self, method: str, request: Any, read: Callable[[Any], Any]) -> Exchange:
        call = partial(self._call, method, request)
        return Exchange(call, read, call)

    def _call(self, method: str, request: Any, client: Any, seconds: float = math.inf) -> Any:
        least = min(math.inf if self._timeout is None else self._timeout, seconds)
        timeout = None if least == math.inf else least
        return getattr(client.grpc_points, method)(request, timeout=timeout)


def _id(identity: PointId) -> messages.PointId:
    from qdrant_client import grpc as messages

    if isinstance(identity, int):
        return messages.PointId(num=identity)
    return messages.PointId(uuid=identity)


def _write_vectors(place: Any, vectors: Mapping[str, Vector]) -> None:
    """Write vectors where they are kept: a message that is put into another is copied."""
    place.SetInParent()
    for name, vector in vectors.items():
        _write_vector(place.vectors[name], vector)


def _write_vector(place: Any, vector: Vector) -> None:
    """Write a vector into a ``Vector`` or ``VectorInput``, whose fields have the same names."""
    if isinstance(vector, SparseVector):
        place.sparse.MergeFromString(_floats(vector.values))  # its values are field 1 too
        place.sparse.indices.extend(vector.indices.tolist())
    elif vector.ndim == 1:
        place.dense.MergeFromString(_floats(vector))
    else:
        for row in vector:
            place.multi_dense.vectors.add().MergeFromString(_floats(row))


def _floats(values: Any) -> bytes:
    """Return floats as protobuf packs them: field 1, of a length, the bytes of each."""
    floats = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return b"\x0a" + _varint(len(floats)) + floats


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _lookup(body: Body) -> dict[str, Any]:
    """Return the fields that a search and a prefetch have in common."""
    from qdrant_client import grpc as messages
    from qdrant_client.conversions.conversion import RestToGrpc

    within, params = body.get("filter"), body.get("params")
    return {
        "prefetch": [messages.PrefetchQuery(**_lookup(part)) for part in body.get("prefetch", ())],
        "query": _query(body["query"]),
        "using": body.get("using"),
        "filter": None if within is None else RestToGrpc.convert_filter(within),
        "params": None if params is None else RestToGrpc.convert_search_params(params),
        "score_threshold": body.get("score_threshold"),
        "limit": body["limit"],
    }


def _query(query: Any) -> messages.Query:
    from qdrant_client import grpc as messages
    from qdrant_client.conversions.conversion import RestToGrpc

    if isinstance(query, Mapping):
        nearest = messages.Query()
        _write_vector(nearest.nearest, query["nearest"])
        return nearest
    return RestToGrpc.convert_query(query)


def _stored(
    record: messages.ScoredPoint | messages.RetrievedPoint, names: Sequence[str]
) -> StoredPoint:
    from qdrant_client.conversions.conversion import GrpcToRest

    payload = GrpcToRest.convert_payload(record.payload) if len(record.payload) else {}
    vectors = _vectors(record.vectors, names) if names else {}
    score = getattr(record, "score", 0.0)  # of what a search found
    return StoredPoint(record.id.uuid or record.id.num, payload, vectors, score)


def _vectors(given: messages.VectorsOutput, names: Sequence[str]) -> dict[str, Vector]:
    from qdrant_client.conversions.conversion import GrpcToRest

    if given.WhichOneof("vectors_options") is None:
        return {}
    converted = GrpcToRest.convert_vectors_output(given)
    named = converted if isinstance(converted, dict) else {"": converted}
    return {name: vector_of(vector) for name, vector in named.items() if name in names}
