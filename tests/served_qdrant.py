"""qdrant-client's local mode behind HTTP: a server whose answers are real, where none is at hand.

    python -m tests.served_qdrant [--port 6333] [--grpc-port 6334]

It has what trivec asks for. Payload indexes are noted and do nothing. Points of equal score, points
that are read by id and the keys of payloads come in another order than in local mode: a server
promises none.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

VERSION = "1.20.0"
Route = tuple[str, str, Any, Callable[..., Any]]
"""Method, path after the collection's name, the body's type, and what answers."""


class TroubleError(Exception):
    """A failure that a test wants: the status over HTTP, the server's words, seconds to wait."""

    def __init__(self, status: int, words: str, retry_after: int | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.retry_after = status, words, retry_after


class ServedQdrant:
    """One server with its collections.

    Attributes:
        hooks: called before each request with its method, its path after the collection's and its
            body; one may raise ``TroubleError``.
        strict: the strict mode that each collection says it has; hooks refuse what exceeds it.
    """

    def __init__(self, port: int = 0, version: str = VERSION) -> None:
        self.version = version
        self.padding: int | None = None  # spaces in each answer, which is packed with gzip then
        self.hooks: list[Callable[[str, str, Any], None]] = []
        self.strict: dict[str, Any] | None = None
        self.local = QdrantClient(":memory:")
        self.indexes: dict[str, dict[str, Any]] = {}
        self.lock = threading.RLock()  # local mode is for one thread
        handler = type("Bound", (_Handler,), {"served": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.local.close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return a status and what the body says."""
        if path == "/":
            return 200, {"title": "qdrant", "version": self.version}
        if path == "/collections":
            return 200, _fine(self.local.get_collections())
        match = re.fullmatch(r"/collections/([^/]+)/?(.*)", path)
        if match is None:
            return 404, {}
        name, what = match[1], match[2]
        for verb, pattern, kind, action in ROUTES:
            place = re.fullmatch(pattern, what)
            if verb == method and place is not None:
                arguments = [] if kind is None else [TypeAdapter(kind).validate_json(body)]
                given = (self, name, *place.groups(), *arguments)
                self.meet(verb, pattern, arguments)
                return self.answered(name, partial(action, *given))
        return 404, {}

    def meet(self, verb: str, what: str, arguments: list[Any]) -> None:
        """Let the hooks see a request.

        Raises:
            TroubleError: one of them refuses it.
        """
        for hook in self.hooks:
            hook(verb, what, arguments[-1] if arguments else None)

    def answered(self, name: str, action: Callable[[], Any]) -> tuple[int, Any]:
        """Return a status, and what an action on a collection gives."""
        try:
            with self.lock, warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                return 200, _fine(action())
        except (ValueError, AssertionError, KeyError, NotImplementedError) as err:
            if "not found" in str(err) and not self.local.collection_exists(name):
                message = f"Not found: Collection `{name}` doesn't exist!"
                return 404, {"status": {"error": message}, "time": 0.0}
            status = 409 if "already exists" in str(err) else 400
            return status, {"status": {"error": f"Wrong input: {err}"}, "time": 0.0}


def _fine(result: Any) -> dict[str, Any]:
    return {"result": _plain(result), "status": "ok", "time": 0.0}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return _turned(value.model_dump(mode="json", by_alias=True, exclude_none=True))
    return value


def _turned(value: Any) -> Any:
    """Return JSON with the keys of its objects in the other order."""
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(item) for item in value] if isinstance(value, list) else value


def _ties_turned(found: Any) -> dict[str, Any]:
    """Return results with those of equal score in the other order."""
    points = found.points[::-1]
    points.sort(key=lambda point: point.score, reverse=True)
    return {"points": _plain(points)}


def _create(served: ServedQdrant, name: str, body: models.CreateCollection) -> bool:
    return served.local.create_collection(
        name,
        vectors_config=body.vectors,
        sparse_vectors_config=body.sparse_vectors,
        metadata=body.metadata,
    )


def _describe(served: ServedQdrant, name: str) -> Any:
    described = _plain(served.local.get_collection(name))
    described["config"]["strict_mode_config"] = served.strict
    indexes = served.indexes.get(name, {})
    described["payload_schema"] = {
        path: {"data_type": kind, "points": 0} for path, kind in indexes.items()
    }
    return described


def _update(served: ServedQdrant, name: str, body: models.UpdateCollection) -> bool:
    return served.local.update_collection(name, vectors_config=body.vectors, metadata=body.metadata)


def _delete(served: ServedQdrant, name: str) -> bool:
    served.indexes.pop(name, None)
    return served.local.delete_collection(name)


def _index(served: ServedQdrant, name: str, body: models.CreateFieldIndex) -> Any:
    kind = body.field_schema
    plain = getattr(kind, "value", None) or getattr(kind.type, "value", kind.type)
    served.indexes.setdefault(name, {})[body.field_name] = plain
    return models.UpdateResult(operation_id=1, status=models.UpdateStatus.COMPLETED)


def _add_vector(served: ServedQdrant, name: str, vector: str, body: Any) -> Any:
    return served.local.create_vector_name(name, vector, body)


def _query(served: ServedQdrant, name: str, body: models.QueryRequest) -> Any:
    return _ties_turned(served.local.query_batch_points(name, [body])[0])


def _batch(served: ServedQdrant, name: str, body: models.QueryRequestBatch) -> Any:
    return [_ties_turned(found) for found in served.local.query_batch_points(name, body.searches)]


def _upsert(served: ServedQdrant, name: str, body: models.PointsList) -> Any:
    return served.local.upsert(
        name, body.points, update_filter=body.update_filter, update_mode=body.update_mode
    )


def _retrieve(served: ServedQdrant, name: str, body: models.PointRequest) -> Any:
    with_payload = True if body.with_payload is None else body.with_payload
    records = served.local.retrieve(
        name, body.ids, with_payload=with_payload, with_vectors=body.with_vector or False
    )
    return records[::-1]


def _scroll(served: ServedQdrant, name: str, body: models.ScrollRequest) -> Any:
    records, following = served.local.scroll(
        name,
        scroll_filter=body.filter,
        limit=10 if body.limit is None else body.limit,
        offset=body.offset,
        with_payload=True if body.with_payload is None else body.with_payload,
        with_vectors=body.with_vector or False,
    )
    return {"points": _plain(records), "next_page_offset": following}


def _count(served: ServedQdrant, name: str, body: models.CountRequest) -> Any:
    return served.local.count(name, count_filter=body.filter, exact=True)


def _remove(served: ServedQdrant, name: str, body: Any) -> Any:
    return served.local.delete(name, body)


def _vectors(served: ServedQdrant, name: str, body: models.UpdateVectors) -> Any:
    return served.local.update_vectors(name, body.points, update_filter=body.update_filter)


def _operations(served: ServedQdrant, name: str, body: models.UpdateOperations) -> Any:
    return served.local.batch_update_points(name, body.operations)


ROUTES: list[Route] = [
    ("GET", "exists", None, lambda s, c: {"exists": s.local.collection_exists(c)}),
    ("PUT", "", models.CreateCollection, _create),
    ("GET", "", None, _describe),
    ("PATCH", "", models.UpdateCollection, _update),
    ("DELETE", "", None, _delete),
    ("PUT", "index", models.CreateFieldIndex, _index),
    ("PUT", "vectors/([^/]+)", models.VectorNameConfig, _add_vector),
    ("POST", "points/query", models.QueryRequest, _query),
    ("POST", "points/query/batch", models.QueryRequestBatch, _batch),
    ("PUT", "points", models.PointsList, _upsert),
    ("POST", "points", models.PointRequest, _retrieve),
    ("POST", "points/scroll", models.ScrollRequest, _scroll),
    ("POST", "points/count", models.CountRequest, _count),
    ("POST", "points/delete", models.PointsSelector, _remove),
    ("PUT", "points/vectors", models.UpdateVectors, _vectors),
    ("POST", "points/batch", models.UpdateOperations, _operations),
]


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: ServedQdrant

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wait = None
        try:
            status, answer = self.served.answer(self.command, self.path.partition("?")[0], body)
        except ValueError as err:  # a body that is none of its type
            status, answer = 400, {"status": {"error": f"Format error in JSON body: {err}"}}
        except TroubleError as err:
            status, answer, wait = err.status, {"status": {"error": err.words}}, err.retry_after
        content = json.dumps(answer).encode()
        self.send_response(status)
        if wait is not None:
            self.send_header("Retry-After", str(wait))
        if self.served.padding is not None:
            content = gzip.compress(content + b" " * self.served.padding)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  # http.server's names

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=6333)
    parser.add_argument("--grpc-port", type=int, default=6334)
    ports = parser.parse_args()
    from tests.served_grpc import over_grpc  # which imports this module

    with ServedQdrant(ports.port) as served, over_grpc(served, ports.grpc_port) as grpc_port:
        sys.stdout.write(f"http://127.0.0.1:{served.port} GRPC_PORT={grpc_port}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
