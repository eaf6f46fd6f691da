"""A Qdrant on the loopback, as far as trivec asks for one; it answers as real ones did.

``contract/qdrant_answers.json`` holds answers of Qdrant 1.18.3 and 1.15.5 by situation.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDED = json.loads(
    (Path(__file__).parent / "contract" / "qdrant_answers.json").read_text("utf-8")
)

Reply = tuple[int, Any, dict[str, str]]
Rule = Callable[[str, str, dict], Reply | None]
"""Takes method, path and body; answers in the server's place, or not."""


def recorded(situation: str, version: str = "1.18.3") -> Reply:
    """Return what a real server of a version answered."""
    for entry in RECORDED:
        if (entry["situation"], entry["version"]) == (situation, version):
            headers = {k: v for k, v in entry["headers"].items() if k == "retry-after"}
            return entry["status"], entry["answer"], headers
    raise LookupError(situation)


def fine(result: Any) -> Reply:
    """Return an answer of success."""
    return 200, {"result": result, "status": "ok", "time": 0.0}, {}


DONE = {"operation_id": 1, "status": "completed"}


class LoopbackQdrant:
    """One server with its collections.

    Attributes:
        version: what it says it is.
        rules: asked first for every request.
        requests: method, path and body of every request, in order.
        collections: the collections by name.
        drips: takes method and path; whether the answer comes byte by byte, for a minute or so.
        is_over: set once the server is closed; a rule that hangs waits for it.
    """

    def __init__(self, version: str = "1.18.3") -> None:
        self.version = version
        self.rules: list[Rule] = []
        self.requests: list[tuple[str, str, dict]] = []
        self.collections: dict[str, dict] = {}
        self.drips: Callable[[str, str], bool] = lambda _method, _path: False
        self.is_over = threading.Event()
        self._lock = threading.RLock()
        handler = type("Bound", (_Handler,), {"qdrant": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the server, and let go of what hangs."""
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sent(self, method: str, pattern: str) -> list[dict]:
        """Return the bodies of the requests to a path."""
        return [
            body
            for verb, path, body in self.requests
            if verb == method and re.fullmatch(pattern, path)
        ]

    def strict(self, name: str = "kb", **limits: Any) -> None:
        """Set a collection's strict mode."""
        self.collections[name]["strict"] = {"enabled": True, **limits}

    def answer(self, method: str, path: str, body: dict) -> Reply:
        """Answer a request."""
        with self._lock:
            self.requests.append((method, path, body))
        for rule in self.rules:
            if (reply := rule(method, path, body)) is not None:
                return reply
        with self._lock:
            return self._answer(method, path, body)

    def _answer(self, method: str, path: str, body: dict) -> Reply:
        if path == "/":
            return 200, {"title": "qdrant", "version": self.version}, {}
        _, _, name, *rest = path.split("/")
        what = "/".join(rest)
        if what == "exists":
            return fine({"exists": name in self.collections})
        if (method, what) == ("PUT", ""):
            if name in self.collections:
                return recorded("create again")
            note = body.get("metadata") if self.version != "1.15.0" else None
            made = {"params": body, "metadata": note, "indexes": {}, "points": {}, "strict": None}
            self.collections[name] = made
            return fine(True)
        if name not in self.collections:
            return 404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}}, {}
        return self._of(self.collections[name], method, what, body)

    def _of(  # noqa: C901, PLR0911  # one case a request
        self, collection: dict, method: str, what: str, body: dict
    ) -> Reply:
        points = collection["points"]
        match method, what:
            case "GET", "":
                return fine(_description(collection))
            case "DELETE", "":
                self.collections = {k: v for k, v in self.collections.items() if v != collection}
                return fine(True)
            case "PATCH", "":
                collection["metadata"] = {**(collection["metadata"] or {}), **body["metadata"]}
                return fine(True)
            case "PUT", "index":
                kind = body["field_schema"]
                kind = kind if isinstance(kind, str) else kind["type"]
                collection["indexes"][body["field_name"]] = kind
                return fine(DONE)
            case "PUT", "points":
                points.update({point["id"]: point for point in body["points"]})
                return fine(DONE)
            case "POST", "points":
                return fine([_record(points[key]) for key in body["ids"] if key in points])
            case "POST", "points/scroll":
                page = list(points.values())[: body["limit"]]
                return fine({"points": [_record(point) for point in page]})
            case "POST", "points/count":
                return fine({"count": len(points)})
            case "POST", "points/query/batch":
                return fine([_results(points, search) for search in body["searches"]])
            case "POST", "points/delete":
                for key in body.get("points") or list(points):
                    points.pop(key, None)
                return fine(DONE)
            case "POST", "points/batch":
                return fine([DONE for _ in body["operations"]])
        return 404, {}, {}


def _record(point: dict) -> dict:
    return {"id": point["id"], "payload": point["payload"]}


def _results(points: dict, search: dict) -> dict:
    listed = list(points.values())[: search["limit"]]
    return {
        "points": [
            {**_record(p), "version": 0, "score": 1.0 / (n + 1)} for n, p in enumerate(listed)
        ]
    }


def _description(collection: dict) -> dict:
    params = collection["params"]
    types = {path: {"data_type": kind, "points": 0} for path, kind in collection["indexes"].items()}
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "config": {
            "params": {
                "vectors": params.get("vectors") or {},
                "sparse_vectors": params.get("sparse_vectors"),
            },
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "metadata": collection["metadata"],
            "strict_mode_config": collection["strict"],
        },
        "payload_schema": types,
    }


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    qdrant: LoopbackQdrant

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        status, answer, headers = self.qdrant.answer(self.command, self.path.split("?")[0], body)
        content = json.dumps(answer).encode() if not isinstance(answer, bytes) else answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.qdrant.drips(self.command, self.path.split("?")[0]):
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.qdrant.is_over.wait(1):
                    break
            return
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  # http.server's names

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""
