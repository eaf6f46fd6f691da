"""A server that fails in every known way, on the loopback: what is retried, and what is said."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from qdrant_client import QdrantClient

from trivec.errors import CollectionNotFoundError, StoreError, StoreUnavailableError
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import RetryPolicy, ServerStore
from trivec.types import Point

KEY = "very-secret-key"
FAST = RetryPolicy(read_deadline=1.0, write_deadline=2.0, first_wait=0.01, longest_wait=0.5)
SCHEMA = Schema({"dense": VectorSpec("dense", "dense", 4)})
OK = {"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.0}

Reply = tuple[int, dict, dict[str, str]]
"""Status, body, headers."""


class FakeQdrant:
    """Enough of Qdrant's REST interface; ``replies`` decides what upserts are answered.

    Attributes:
        replies: takes the ids of an upsert and its ordinal number.
        written: the ids of every upsert that was accepted.
        sizes: the body length of every upsert.
    """

    def __init__(self) -> None:
        self.replies: Callable[[list, int], Reply] = lambda _ids, _number: (200, OK, {})
        self.written: list = []
        self.requests: list[list] = []
        self.sizes: list[int] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("/exists"):
                    self.reply(200, {"result": {"exists": True}, "status": "ok", "time": 0.0}, {})
                else:
                    self.reply(200, COLLECTION, {})

            def do_POST(self) -> None:
                self.body()
                self.reply(*fake.replies([], 0))

            def do_PUT(self) -> None:
                body = self.body()
                identities = [point["id"] for point in json.loads(body)["points"]]
                fake.requests.append(identities)
                fake.sizes.append(len(body))
                status, answer, headers = fake.replies(identities, len(fake.requests))
                if status == 200:
                    fake.written += identities
                self.reply(status, answer, headers)

            def body(self) -> bytes:
                return self.rfile.read(int(self.headers["Content-Length"]))

            def reply(self, status: int, answer: dict, headers: dict[str, str]) -> None:
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


def error(status, message, **headers) -> Reply:
    body = {"status": {"error": message}, "time": 0.0}
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


COLLECTION = {
    "result": {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "config": {
            "params": {"vectors": {"dense": {"size": 4, "distance": "Cosine"}}},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        },
        "payload_schema": {},
    },
    "status": "ok",
    "time": 0.0,
}


@pytest.fixture
def qdrant() -> Iterator[FakeQdrant]:
    fake = FakeQdrant()
    thread = threading.Thread(target=fake.server.serve_forever, daemon=True)
    thread.start()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


def connect(port, **options) -> QdrantClient:
    return QdrantClient(
        host="127.0.0.1", port=port, https=False, check_compatibility=False, **options
    )


@pytest.fixture
def store(qdrant: FakeQdrant) -> Iterator[ServerStore]:
    client = connect(qdrant.port, timeout=5)
    yield ServerStore(client, "kb", retry=FAST)
    client.close()


def make_points(count):
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((count, 4)).astype(np.float32)
    return [Point(number + 1, {"dense": vectors[number]}, {}) for number in range(count)]


QUERY = StoreQuery((Prefetch("dense", np.ones(4, dtype=np.float32), 3),), 3)


@pytest.mark.parametrize(
    "failure",
    [
        error(503, "overloaded"),
        error(500, "internal"),
        error(429, "slow down"),
        error(429, "slow down", Retry_After="0"),
        error(429, "slow down", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        (200, {"result": {"operation_id": 1, "status": "wait_timeout"}, "status": "ok"}, {}),
    ],
    ids=["503", "500", "429", "429-seconds", "429-date", "wait-timeout"],
)
def test_a_passing_failure_is_retried(qdrant, store, failure):
    qdrant.replies = lambda _, number: failure if number < 3 else (200, OK, {})
    store.upsert(make_points(3))
    assert qdrant.requests == [[1, 2, 3]] * 3


def test_retry_after_is_waited_for(qdrant, store):
    longer = RetryPolicy(write_deadline=5.0, first_wait=0.001, longest_wait=5.0)
    waiting = error(429, "slow down", Retry_After="1")
    qdrant.replies = lambda _, number: waiting if number == 1 else (200, OK, {})
    begun = time.monotonic()
    ServerStore(store._client, "kb", retry=longer).upsert(make_points(1))
    assert 1.0 <= time.monotonic() - begun < 3.0


def test_a_failure_that_does_not_pass_ends_at_the_deadline(qdrant, store):
    qdrant.replies = lambda *_: error(503, "overloaded")
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="503"):
        store.upsert(make_points(1))
    assert time.monotonic() - begun < FAST.write_deadline + 1
    assert len(qdrant.requests) > 2


def test_reads_are_retried_too(qdrant, store):
    answers = [error(503, "overloaded"), (200, {"result": {"count": 7}, "status": "ok"}, {})]
    qdrant.replies = lambda *_: answers.pop(0)
    assert store.count() == 7


def test_bad_points_are_found_and_named_and_the_others_written(qdrant, store):
    bad = {3, 11}

    def replies(identities, _):
        if bad & set(identities):
            return error(400, "Wrong input: bad vector")
        return 200, OK, {}

    qdrant.replies = replies
    with pytest.raises(StoreError, match=r"refused 2 of 20 points: 3: .*bad vector.*; 11: "):
        store.upsert(make_points(20))
    assert sorted(qdrant.written) == sorted(set(range(1, 21)) - bad)
    assert all(count < 2 for count in (qdrant.written.count(number) for number in range(1, 21)))


def test_a_request_too_large_is_cut(qdrant, store):
    qdrant.replies = lambda ids, _: (
        error(413, "Payload Too Large") if len(ids) > 4 else (200, OK, {})
    )
    store.upsert(make_points(16))
    assert qdrant.written == list(range(1, 17))


def test_a_batch_that_is_refused_whole_ends_the_write(qdrant, store):
    qdrant.replies = lambda *_: error(400, "Wrong input: Not existing vector name error: dense")
    with pytest.raises(StoreError, match=r"refused 256 of 600 points: .*Not existing vector name"):
        store.upsert(make_points(600))
    assert {number for ids in qdrant.requests for number in ids} == set(range(1, 257))


def test_batches_are_cut_by_count_and_bytes(qdrant, store):
    store.upsert(make_points(600))
    assert [len(ids) for ids in qdrant.requests] == [256, 256, 88]
    qdrant.requests.clear()
    qdrant.sizes.clear()
    heavy = [Point(p.id, p.vectors, {"text": "语" * 1_000_000}) for p in make_points(12)]
    store.upsert(heavy)
    assert qdrant.written[-12:] == list(range(1, 13))
    assert max(qdrant.sizes) < 24_000_000
    assert 1 < len(qdrant.requests) < 12


@pytest.mark.parametrize(
    ("status", "said"), [(401, "API key"), (403, "API key"), (409, "conflict")]
)
def test_a_lasting_failure_is_not_retried(qdrant, store, status, said):
    qdrant.replies = lambda *_: error(status, "conflict")
    with pytest.raises(StoreError, match=said):
        store.upsert(make_points(2))
    assert len(qdrant.requests) == 1


def test_a_collection_that_went_away(qdrant, store):
    qdrant.replies = lambda *_: error(404, "Not found: Collection `kb` doesn't exist!")
    with pytest.raises(CollectionNotFoundError, match="kb"):
        store.query([QUERY])


def test_a_server_that_does_not_answer(qdrant):
    def replies(*_):
        time.sleep(1.5)
        return 200, OK, {}

    qdrant.replies = replies
    client = connect(qdrant.port, timeout=1)
    with pytest.raises(StoreUnavailableError, match="timeout"):
        ServerStore(client, "kb", retry=FAST).count()
    client.close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
def test_no_server_at_all(closed_port, grpc, caplog):
    client = connect(closed_port, api_key=KEY, prefer_grpc=grpc, grpc_port=closed_port, timeout=1)
    store = ServerStore(client, "kb", retry=FAST)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="check that it runs") as caught:
        store.count()
    assert time.monotonic() - begun < 5
    assert str(closed_port) not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(store) + caplog.text
    assert KEY not in shown
    client.close()
