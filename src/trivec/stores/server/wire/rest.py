"""JSON over HTTP, through the client's own connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from trivec.query import Filter
from trivec.stores.records import point_id_of
from trivec.stores.server import requests
from trivec.stores.server.wire.building import built_request
from trivec.stores.server.wire.exchange import Body, Exchange
from trivec.types import Point, PointId, SparseVector, StoredPoint, Vector

__all__ = ["RestWire"]


class RestWire:
    """Points and searches as JSON; floats have as many digits as float32 needs, and no more."""

    def point(self, point: Point) -> bytes:
        """Write a point with its vectors and payload."""
        return _json({"id": point.id, "vector": {**point.vectors}, "payload": {**point.payload}})

    def vectors(self, point: Point) -> bytes:
        """Write the vectors of a point."""
        return _json({"id": point.id, "vector": {**point.vectors}})

    def search(self, body: Body) -> bytes:
        """Write a search."""
        return _json(body)

    def size(self, item: bytes) -> int:
        """Return the bytes, and the comma."""
        return len(item) + 1

    def upsert(self, collection: str, points: Sequence[bytes], timeout: int) -> Exchange:
        """Insert points or replace them."""
        return _update(collection, "points", _listing(b"points", points), timeout)

    def update_vectors(
        self, collection: str, points: Sequence[bytes], where: Filter | None, timeout: int
    ) -> Exchange:
        """Set vectors of the points that match."""
        within = b"" if where is None else b',"update_filter":' + _json(where)
        body = _listing(b"points", points, within)
        return _update(collection, "points/vectors", body, timeout)

    def query(
        self, collection: str, searches: Sequence[bytes], names: Sequence[Sequence[str] | None]
    ) -> Exchange:
        """Run searches."""
        body = _listing(b"searches", searches)

        def read(answer: Any) -> list[Any]:
            return [
                [(point["id"], point["score"]) for point in found["points"]]
                if wanted is None
                else [_stored(point, wanted) for point in found["points"]]
                for found, wanted in zip(answer["result"], names, strict=True)
            ]

        return Exchange(_sender("POST", collection, "points/query/batch", body, {}), read)

    def retrieve(self, collection: str, ids: Sequence[PointId], names: Sequence[str]) -> Exchange:
        """Read points."""
        asked = {"ids": ids, "with_payload": True, "with_vector": requests.vector_selector(names)}
        return Exchange(
            _sender("POST", collection, "points", _json(asked), {}),
            lambda answer: [_stored(point, names) for point in answer["result"]],
        )


def _update(collection: str, what: str, body: bytes, timeout: int) -> Exchange:
    from qdrant_client import models

    options = {"wait": "true", "timeout": str(timeout)}
    return Exchange(
        _sender("PUT", collection, what, body, options),
        lambda answer: models.UpdateResult.model_validate(answer["result"]),
    )


def _sender(method: str, collection: str, what: str, body: bytes, options: dict[str, str]) -> Any:
    path = f"collections/{quote(collection, safe='')}/{what}"
    if options:
        path += f"?{urlencode(options)}"
    seconds = int(options["timeout"]) if "timeout" in options else None

    def send(client: Any) -> Any:
        api = client.http.client
        return api.send(built_request(api, method, path, body, seconds), dict)

    return send


def _listing(key: bytes, items: Sequence[bytes], more: bytes = b"") -> bytes:
    """Return an object with a list; copied once, since it may be of 24 MB."""
    parts = [b",", b""] * len(items)
    parts[1::2] = items
    parts[:1] = [b'{"%s":[' % key]
    return b"".join([*parts, b"]", more, b"}"])


def _json(value: Any) -> bytes:
    import orjson

    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(value, default=_plain, option=options)


def _plain(value: Any) -> Any:
    """Return what JSON has for a value that it does not know."""
    if isinstance(value, SparseVector):
        return {"indices": value.indices, "values": value.values}
    if isinstance(value, np.ndarray):  # not contiguous, or of another type
        return value.tolist()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


def _stored(record: Any, names: Sequence[str]) -> StoredPoint:
    vectors = record.get("vector") or {}
    named = vectors if isinstance(vectors, dict) else {"": vectors}
    return StoredPoint(
        point_id_of(record["id"]),
        record.get("payload") or {},
        {name: _vector(vector) for name, vector in named.items() if name in names},
        record.get("score", 0.0),
    )


def _vector(value: Any) -> Vector:
    if isinstance(value, list):
        return np.array(value, dtype=np.float32)
    indices = np.array(value["indices"], dtype=np.uint32)
    order = np.argsort(indices)
    return SparseVector(indices[order], np.array(value["values"], dtype=np.float32)[order])
