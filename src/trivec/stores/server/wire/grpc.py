"""Messages over gRPC, through the client's own channel.

It is imported where a client has gRPC: an import in a function takes longer than some messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from qdrant_client import grpc as messages
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, json_to_value

from trivec.query import Filter
from trivec.stores.records import vector_of
from trivec.stores.server import requests
from trivec.stores.server.wire.exchange import Body, Exchange
from trivec.types import FloatArray, Point, PointId, SparseVector, StoredPoint, Vector

__all__ = ["GrpcWire", "read_vectors"]

_FLOAT = np.dtype("<f4")


class GrpcWire:
    """Points and searches as messages; the floats of a vector are copied as they lie.

    Args:
        timeout: seconds of a call, the client's own.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout

    def point(self, point: Point) -> messages.PointStruct:
        """Write a point with its vectors and payload."""
        written = messages.PointStruct(id=_id(point.id))
        for key, value in point.payload.items():
            _write_value(written.payload[key], value)
        _write_vectors(written.vectors.vectors, point.vectors)
        return written

    def vectors(self, point: Point) -> messages.PointVectors:
        """Write the vectors of a point."""
        written = messages.PointVectors(id=_id(point.id))
        _write_vectors(written.vectors.vectors, point.vectors)
        return written

    def search(self, body: Body) -> messages.QueryPoints:
        """Write a search; the collection's name is set when it is sent."""
        written = messages.QueryPoints()
        _write_lookup(written, body)
        if (offset := body.get("offset")) is not None:
            written.offset = offset
        _select(written.with_vectors, body.get("with_vector", False))
        written.with_payload.enable = body["with_payload"]
        return written

    def size(self, item: Any) -> int:
        """Return the bytes, and what precedes them."""
        return int(item.ByteSize()) + 8

    def upsert(self, collection: str, points: Sequence[Any], timeout: int) -> Exchange:
        """Insert points or replace them."""
        request = messages.UpsertPoints(
            collection_name=collection, wait=True, points=points, timeout=timeout
        )
        return self._update("Upsert", request)

    def update_vectors(
        self, collection: str, points: Sequence[Any], where: Filter | None, timeout: int
    ) -> Exchange:
        """Set vectors of the points that match."""
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
        for search in searches:
            search.collection_name = collection
        request = messages.QueryBatchPoints(collection_name=collection, query_points=searches)

        def read(answer: messages.QueryBatchResponse) -> list[Any]:
            return [
                [((key := point.id).uuid or key.num, point.score) for point in found.result]
                if wanted is None
                else [_stored(point, wanted, point.score) for point in found.result]
                for found, wanted in zip(answer.result, names, strict=True)
            ]

        return self._exchange("QueryBatch", request, read)

    def retrieve(self, collection: str, ids: Sequence[PointId], names: Sequence[str]) -> Exchange:
        """Read points."""
        request = messages.GetPoints(collection_name=collection, ids=map(_id, ids))
        request.with_payload.enable = True
        _select(request.with_vectors, requests.vector_selector(names))
        return self._exchange(
            "Get", request, lambda answer: [_stored(point, names) for point in answer.result]
        )

    def _update(self, method: str, request: Any) -> Exchange:
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
    if isinstance(identity, int):
        return messages.PointId(num=identity)
    return messages.PointId(uuid=identity)


def _write_value(place: messages.Value, value: Any) -> None:
    """Write a value of a payload; of the rarer types as the client does."""
    kind = type(value)
    if kind is str:
        place.string_value = value
    elif kind is int:
        place.integer_value = value
    elif kind is dict:
        place.struct_value.SetInParent()
        for key, item in value.items():
            _write_value(place.struct_value.fields[key], item)
    else:
        place.CopyFrom(json_to_value(value))


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
    floats = np.ascontiguousarray(values, _FLOAT)
    return b"".join((_head(floats.nbytes), floats.data))


@lru_cache
def _head(number: int) -> bytes:
    """Return what stands before field 1, of so many bytes."""
    octets = bytearray(b"\x0a")
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _write_lookup(place: Any, body: Body) -> None:
    """Write what a search and a prefetch have in common."""
    for part in body.get("prefetch", ()):
        _write_lookup(place.prefetch.add(), part)
    query = body["query"]
    if isinstance(query, dict):
        _write_vector(place.query.nearest, query["nearest"])
    else:
        place.query.CopyFrom(RestToGrpc.convert_query(query))
    if (using := body.get("using")) is not None:
        place.using = using
    if (within := body.get("filter")) is not None:
        place.filter.CopyFrom(RestToGrpc.convert_filter(within))
    if (params := body.get("params")) is not None:
        place.params.CopyFrom(RestToGrpc.convert_search_params(params))
    if (threshold := body.get("score_threshold")) is not None:
        place.score_threshold = threshold
    place.limit = body["limit"]


def _select(place: messages.WithVectorsSelector, names: Any) -> None:
    """Write which vectors an answer is to have."""
    if isinstance(names, bool):
        place.enable = names
    else:
        place.include.names.extend(names)


def _stored(record: Any, names: Sequence[str], score: float = 0.0) -> StoredPoint:
    """Return a point that was found or read."""
    key, fields = record.id, record.payload
    payload = GrpcToRest.convert_payload(fields) if len(fields) else {}
    vectors = read_vectors(record.vectors, names) if names else {}
    return StoredPoint(key.uuid or key.num, payload, vectors, score)


def read_vectors(given: messages.VectorsOutput, names: Sequence[str]) -> dict[str, Vector]:
    """Return those of a point's vectors that are wanted; the unnamed one is called ``""``."""
    kind = given.WhichOneof("vectors_options")
    if kind is None:
        return {}
    named = {"": given.vector} if kind == "vector" else given.vectors.vectors
    return {name: _read_vector(named[name]) for name in names if name in named}


def _read_vector(place: messages.VectorOutput) -> Vector:
    """Return a vector; its floats are copied as they lie."""
    match place.WhichOneof("vector"):
        case "dense":
            return _read_floats(place.dense)
        case "sparse":
            indices = np.fromiter(place.sparse.indices, np.uint32, len(place.sparse.indices))
            order = np.argsort(indices)
            return SparseVector(indices[order], _read_floats(place.sparse)[order])
        case "multi_dense":
            return np.array([_read_floats(row) for row in place.multi_dense.vectors])
    return vector_of(GrpcToRest.convert_vector_output(place))  # as older servers say it


def _read_floats(place: messages.DenseVector | messages.SparseVector) -> FloatArray:
    """Return the floats of field 1; see ``_floats``."""
    written = place.SerializeToString()
    if not written:
        return np.empty(0, np.float32)
    length = at = shift = 0
    octet = 128
    while octet > 127:
        at += 1
        octet = written[at]
        length |= (octet & 127) << shift
        shift += 7
    return np.frombuffer(written, "<f4", length // 4, at + 1).astype(np.float32)
