"""A Qdrant that answers at once and stores nothing: what a client does is all that takes time.

``python -m benchmarks._answering`` serves REST and gRPC on the loopback in a process of its own,
prints both ports on one line, and ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

__all__ = ["Ports", "answering"]

HITS = 10
VERSION = "1.18.3"
TEXT = "A passage that is about as long as one that people index, which is a few sentences. " * 6
PAYLOADS = [
    {"page_content": TEXT, "metadata": {"n": n, "lang": "en"}, "text": TEXT} for n in range(HITS)
]
IDS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(HITS)]
POINTS = [
    {"id": point, "version": 3, "score": 1 / (n + 1), "payload": PAYLOADS[n]}
    for n, point in enumerate(IDS)
]
DONE = {"operation_id": 1, "status": "completed"}
LISTED = [{"id": n, "version": 3, "score": 1 / (n + 1)} for n in range(100)]

Ports = tuple[int, int]


@contextlib.contextmanager
def answering() -> Iterator[Ports]:
    """Serve in another process; yield the ports of REST and gRPC."""
    command = [sys.executable, "-m", "benchmarks._answering"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        if server.stdin is None or server.stdout is None:
            raise RuntimeError("the server has no pipes")
        rest, grpc = server.stdout.readline().split()
        try:
            yield int(rest), int(grpc)
        finally:
            server.stdin.close()


class _Rest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    collections: ClassVar[dict[str, dict[str, Any]]] = {}
    requests: ClassVar[list[tuple[str, bytes]]] = []

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, content = self._answer(self.command, self.path.partition("?")[0], body)
        head = f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        self.wfile.write(head.encode() + content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  # http.server's names

    def _answer(  # noqa: C901, PLR0911, PLR0912  # one case a request
        self, method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        name, _, what = path.removeprefix("/collections/").partition("/")
        if method == "POST":
            self.requests.append((path, body))
        made = self.collections.get(name)
        match method, what:
            case "GET", "" if path == "/":
                return 200, json.dumps({"title": "qdrant", "version": VERSION}).encode()
            case "GET", "requests":
                said = [(where, sent.hex()) for where, sent in self.requests]
                self.requests.clear()
                return 200, json.dumps(said).encode()
            case "GET", "exists":
                return _fine({"exists": made is not None})
            case "PUT", "":
                self.collections[name] = json.loads(body)
                return _fine(result=True)
            case "GET", "" if made is not None:
                return _fine(_description(made))
            case "POST", "points/query":
                return 200, SEARCHED
            case "POST", "points/query/batch":
                return _batch(body)
            case "POST", "points/scroll":
                return _fine({"points": []})
            case "POST", "points/count":
                return _fine({"count": 0})
            case "POST", "points":
                return _fine([_record(n) for n in json.loads(body)["ids"] if isinstance(n, int)])
            case "POST", "points/batch":
                return _fine([DONE] * 256)
            case _ if made is not None:
                return _fine(DONE)
        return 404, b'{"status": {"error": "Not found"}}'

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


def _fine(result: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()


SEARCHED = _fine({"points": POINTS})[1]


def _record(n: int) -> dict[str, Any]:
    return {"id": n, "payload": PAYLOADS[n % HITS]}


def _batch(body: bytes) -> tuple[int, bytes]:
    """Answer searches: with payloads where they are asked for, else with a list."""
    return _fine(
        [
            {"points": POINTS if search["with_payload"] else LISTED[: search["limit"]]}
            for search in json.loads(body)["searches"]
        ]
    )


def _description(made: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "config": {
            "params": {
                "vectors": made.get("vectors") or {},
                "sparse_vectors": made.get("sparse_vectors"),
            },
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "metadata": made.get("metadata"),
        },
        "payload_schema": {},
    }


def _grpc_server() -> tuple[Any, int]:
    """Return a gRPC server that looks at no more of a request than it must."""
    import grpc
    from qdrant_client import grpc as messages
    from qdrant_client.conversions.conversion import RestToGrpc

    made: dict[str, Any] = {}
    done = messages.UpdateResult(operation_id=1, status=messages.UpdateStatus.Completed)
    written = messages.PointsOperationResponse(result=done).SerializeToString()
    points = [
        messages.ScoredPoint(
            id=messages.PointId(uuid=point["id"]),
            score=point["score"],
            version=3,
            payload=RestToGrpc.convert_payload(point["payload"]),
        )
        for point in POINTS
    ]
    found = messages.QueryResponse(result=points).SerializeToString()
    listed = [
        messages.ScoredPoint(id=messages.PointId(num=one["id"]), score=one["score"])
        for one in LISTED
    ]

    def batch(body: bytes) -> bytes:
        searches = messages.QueryBatchPoints.FromString(body).query_points
        results = [
            messages.BatchResult(
                result=points if search.with_payload.enable else listed[: search.limit]
            )
            for search in searches
        ]
        return bytes(messages.QueryBatchResponse(result=results).SerializeToString())

    def get(body: bytes) -> bytes:
        ids = [one.num for one in messages.GetPoints.FromString(body).ids if not one.uuid]
        records = [
            messages.RetrievedPoint(
                id=messages.PointId(num=n), payload=RestToGrpc.convert_payload(PAYLOADS[n % HITS])
            )
            for n in ids
        ]
        return bytes(messages.GetResponse(result=records).SerializeToString())

    def create(body: bytes) -> bytes:
        request = messages.CreateCollection.FromString(body)
        made[request.collection_name] = request
        return bytes(messages.CollectionOperationResponse(result=True).SerializeToString())

    def exists(body: bytes) -> bytes:
        name = messages.CollectionExistsRequest.FromString(body).collection_name
        answer = messages.CollectionExists(exists=name in made)
        return bytes(messages.CollectionExistsResponse(result=answer).SerializeToString())

    def describe(body: bytes) -> bytes:
        request = made[messages.GetCollectionInfoRequest.FromString(body).collection_name]
        config = messages.CollectionConfig(
            params=messages.CollectionParams(
                shard_number=1,
                vectors_config=request.vectors_config,
                sparse_vectors_config=request.sparse_vectors_config,
            ),
            hnsw_config=messages.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10000),
            optimizer_config=messages.OptimizersConfigDiff(
                deleted_threshold=0.2,
                vacuum_min_vector_number=1000,
                default_segment_number=0,
                flush_interval_sec=5,
            ),
            wal_config=messages.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
            metadata=request.metadata,
        )
        info = messages.CollectionInfo(
            status=messages.CollectionStatus.Green,
            optimizer_status=messages.OptimizerStatus(ok=True),
            segments_count=1,
            config=config,
        )
        return bytes(messages.GetCollectionInfoResponse(result=info).SerializeToString())

    answers: dict[str, Callable[[bytes], bytes]] = {
        "Qdrant/HealthCheck": lambda _: messages.HealthCheckReply(
            title="qdrant", version=VERSION
        ).SerializeToString(),
        "Collections/CollectionExists": exists,
        "Collections/Create": create,
        "Collections/Get": describe,
        "Points/Query": lambda _: found,
        "Points/QueryBatch": batch,
        "Points/Scroll": lambda _: messages.ScrollResponse().SerializeToString(),
        "Points/Count": lambda _: messages.CountResponse().SerializeToString(),
        "Points/Get": get,
    }

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
        def service(self, call: Any) -> Any:
            answer = answers.get(call.method.removeprefix("/qdrant."), lambda _: written)

            def respond(body: bytes, _context: Any) -> bytes:
                _Rest.requests.append((call.method, body))
                return answer(body)

            return grpc.unary_unary_rpc_method_handler(respond)

    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), handlers=[Handler()], options=unlimited)
    port = server.add_insecure_port("127.0.0.1:0")
    return server, port


def main() -> None:
    """Serve until the standard input ends."""
    rest = ThreadingHTTPServer(("127.0.0.1", 0), _Rest)
    rest.daemon_threads = True
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    grpc, port = _grpc_server()
    grpc.start()
    print(rest.server_address[1], port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
