"""A server that fails in every known way, on the loopback: what is retried, and what is said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import traceback
import types
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from tests.clock import HOUR
from tests.heart import Heart

from trivec._runtime.secrets import Key
from trivec.errors import CollectionNotFoundError, StoreError, StoreUnavailableError
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import AsyncServerStore, RetryPolicy, ServerStore
from trivec.stores.server.failures import call, is_refusal
from trivec.types import Point, SparseVector

KEY = "very-secret-key"
PATIENT = RetryPolicy(
    read_deadline=HOUR / 2, write_deadline=HOUR, first_wait=0.01, longest_wait=HOUR / 10
)
SCHEMA = Schema({"dense": VectorSpec("dense", "dense", 4)})
OK = {"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.0}

Reply = tuple[int, dict, dict[str, str]]
"""Status, body, headers."""


class Handler(BaseHTTPRequestHandler):
    """Answers for the :class:`FakeQdrant` that it is bound to."""

    fake: FakeQdrant

    def do_GET(self) -> None:
        if self.path.endswith("/exists"):
            self.reply(200, {"result": {"exists": True}, "status": "ok", "time": 0.0}, {})
        else:
            self.reply(200, self.fake.collection(), {})

    def do_POST(self) -> None:
        self.body()
        self.reply(*self.fake.replies([], 0))

    def do_PATCH(self) -> None:
        change = json.loads(self.body())
        self.fake.changes.append(("PATCH", self.path.split("?")[0], change))
        self.fake.metadata |= change.get("metadata", {})
        self.reply(200, {"result": True, "status": "ok", "time": 0.0}, {})

    def do_PUT(self) -> None:
        body = self.body()
        path = self.path.split("?")[0]
        if not path.endswith("/points"):
            self.fake.changes.append(("PUT", path, json.loads(body)))
            self.reply(*self.fake.replies([], 0))
            return
        identities = [point["id"] for point in json.loads(body)["points"]]
        self.fake.requests.append(identities)
        self.fake.sizes.append(len(body))
        status, answer, headers = self.fake.replies(identities, len(self.fake.requests))
        if status == 200:
            self.fake.written += identities
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


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # with 5, some of many connections at once wait for a second


class FakeQdrant:
    """Enough of Qdrant's REST interface; ``replies`` decides what upserts are answered.

    Attributes:
        replies: takes the ids of an upsert and its ordinal number.
        written: the ids of every upsert that was accepted.
        sizes: the body length of every upsert.
        changes: method, path and body of every other write.
        metadata: what the collection was described with.
        is_over: set once the test has ended, so that a reply which waits for it is let go.
    """

    def __init__(self) -> None:
        self.replies: Callable[[list, int], Reply] = lambda _ids, _number: (200, OK, {})
        self.written: list = []
        self.requests: list[list] = []
        self.sizes: list[int] = []
        self.changes: list[tuple[str, str, dict]] = []
        self.metadata: dict = {}
        self.is_over = threading.Event()
        handler = type("BoundHandler", (Handler,), {"fake": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]

    def collection(self) -> dict:
        result = COLLECTION["result"]
        config = {**result["config"], "metadata": self.metadata}
        return {**COLLECTION, "result": {**result, "config": config}}


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
    fake.is_over.set()
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


def connect(port, kind=QdrantClient, **options):
    return kind(host="127.0.0.1", port=port, https=False, check_compatibility=False, **options)


@contextlib.asynccontextmanager
async def connected(port, **options) -> AsyncIterator[AsyncQdrantClient]:
    """An asynchronous client, for as long as it is used."""
    client = connect(port, AsyncQdrantClient, **options)
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture(params=["sync", "async"])
def store(request, qdrant: FakeQdrant, awaited) -> Iterator[ServerStore]:
    with contextlib.closing(connect(qdrant.port, timeout=60)) as client:
        store = ServerStore(client, "kb", retry=PATIENT)
        if request.param == "sync":
            yield store
        else:
            other = connect(qdrant.port, AsyncQdrantClient, timeout=60)
            both = awaited(store, AsyncServerStore(other, "kb", retry=PATIENT))
            try:
                yield both
            finally:
                both.wait_for(other.close())


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
@pytest.mark.usefixtures("clock")
def test_a_passing_failure_is_retried(qdrant, store, failure):
    qdrant.replies = lambda _, number: failure if number < 3 else (200, OK, {})
    store.upsert(make_points(3))
    assert qdrant.requests == [[1, 2, 3]] * 3


def test_retry_after_is_waited_for(qdrant, store, clock):
    waiting = error(429, "slow down", Retry_After="100")
    qdrant.replies = lambda _, number: waiting if number == 1 else (200, OK, {})
    store.upsert(make_points(1))
    assert clock.waits == [100.0]


def test_retry_after_is_waited_for_in_truth(qdrant):
    longer = RetryPolicy(write_deadline=HOUR, first_wait=0.001, longest_wait=HOUR)
    waiting = error(429, "slow down", Retry_After="1")
    qdrant.replies = lambda _, number: waiting if number == 1 else (200, OK, {})
    begun = time.monotonic()
    with contextlib.closing(connect(qdrant.port, timeout=60)) as client:
        ServerStore(client, "kb", retry=longer).upsert(make_points(1))
    assert time.monotonic() - begun >= 1.0


def test_a_failure_that_does_not_pass_ends_at_the_deadline(qdrant, store, clock):
    qdrant.replies = lambda *_: error(503, "overloaded")
    with pytest.raises(StoreUnavailableError, match="503"):
        store.upsert(make_points(1))
    assert PATIENT.read_deadline < clock.now < PATIENT.write_deadline
    assert len(qdrant.requests) > 2


@pytest.mark.usefixtures("clock")
def test_reads_are_retried_too(qdrant, store):
    answers = [error(503, "overloaded"), (200, {"result": {"count": 7}, "status": "ok"}, {})]
    qdrant.replies = lambda *_: answers.pop(0)
    assert store.count() == 7


def test_adding_an_arm_is_three_kinds_of_requests(qdrant, store):
    """As Qdrant's interface has them since 1.18; local mode shows the rest."""
    store.create_vector(VectorSpec("sparse", "sparse"))
    store.create_vector(VectorSpec("bm25", "sparse", idf=True))
    store.create_vector(VectorSpec("colbert", "multivector", 8))
    wider = Schema(SCHEMA.vectors, building={"sparse": VectorSpec("sparse", "sparse")})
    store.describe(wider)
    lacking = models.Filter(must_not=[models.HasVectorCondition(has_vector="sparse")])
    fresh = SparseVector(np.array([3], np.uint32), np.array([0.5], np.float32))
    store.update_vectors({7: {"sparse": fresh}}, where=lacking)
    late = {"size": 8, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}}
    graph = {"colbert": {"hnsw_config": {"m": 0}, "on_disk": True}}
    vector = {"sparse": {"indices": [3], "values": [0.5]}}
    assert qdrant.changes == [
        ("PUT", "/collections/kb/vectors/sparse", {"sparse": {}}),
        ("PUT", "/collections/kb/vectors/bm25", {"sparse": {"modifier": "idf"}}),
        ("PUT", "/collections/kb/vectors/colbert", {"dense": late}),
        ("PATCH", "/collections/kb", {"vectors": graph}),
        ("PATCH", "/collections/kb", {"metadata": {"trivec": wider.to_json()}}),
        (
            "PUT",
            "/collections/kb/points/vectors",
            {
                "points": [{"id": 7, "vector": vector}],
                "update_filter": {"must_not": [{"has_vector": "sparse"}]},
            },
        ),
    ]
    assert store.schema == wider


def test_a_server_before_vectors_could_be_added(qdrant, store):
    qdrant.replies = lambda *_: (404, {}, {})
    with pytest.raises(StoreError, match=r"1\.18"):
        store.create_vector(VectorSpec("sparse", "sparse"))


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


@pytest.mark.asyncio
async def test_the_loop_goes_on_while_the_server_thinks(qdrant):
    """Twenty requests at once, none answered before the event loop has ticked for a while."""
    heart = Heart()

    def replies(*_):
        heart.wait()
        return 200, {"result": {"count": 7}, "status": "ok"}, {}

    qdrant.replies = replies
    async with connected(qdrant.port, timeout=60) as client:
        store = AsyncServerStore(client, "kb", retry=PATIENT)
        counts, _ = await asyncio.gather(
            asyncio.gather(*(store.count() for _ in range(20))), heart.beat()
        )
    assert counts == [7] * 20


@pytest.mark.asyncio
async def test_a_cancelled_retry_stops(qdrant):
    retried = threading.Event()

    def replies(_ids, number):
        if number >= 3:
            retried.set()
        return error(503, "overloaded")

    qdrant.replies = replies
    often = RetryPolicy(write_deadline=HOUR, first_wait=0.01, longest_wait=0.05)
    async with connected(qdrant.port, timeout=60) as client:
        writing = asyncio.create_task(
            AsyncServerStore(client, "kb", retry=often).upsert(make_points(2))
        )
        assert await asyncio.to_thread(retried.wait, 60)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await comes_to_rest(qdrant.requests)


async def comes_to_rest(requests):
    """Say whether no more requests come, once what was under way has arrived."""
    for _ in range(50):
        before = len(requests)
        await asyncio.sleep(0.3)
        if len(requests) == before:
            return True
    return False


def test_a_server_that_does_not_answer(qdrant):
    qdrant.replies = lambda *_: (qdrant.is_over.wait(HOUR), (200, OK, {}))[1]
    short = RetryPolicy(read_deadline=1.0)
    with (
        contextlib.closing(connect(qdrant.port, timeout=1)) as client,
        pytest.raises(StoreUnavailableError, match="longer timeout"),
    ):
        ServerStore(client, "kb", retry=short).count()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
def test_no_server_at_all(closed_port, grpc, caplog, clock):
    there = {"api_key": KEY, "prefer_grpc": grpc, "grpc_port": closed_port, "timeout": 60}
    with contextlib.closing(connect(closed_port, **there)) as client:
        store = ServerStore(client, "kb", retry=PATIENT)
        with pytest.raises(StoreUnavailableError, match="check that it runs") as caught:
            store.count()
    assert 0 < clock.now < PATIENT.read_deadline
    assert str(closed_port) not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(store) + caplog.text
    assert KEY not in shown


# Keys, and where requests go


@pytest.mark.parametrize("status", [400, 401, 409, 500])
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
@pytest.mark.usefixtures("clock")
def test_no_error_holds_a_key_that_the_server_repeats(qdrant, status, caplog):
    qdrant.replies = lambda *_: error(status, f"no such user: {KEY}", X_Echo=KEY)
    with (
        contextlib.closing(connect(qdrant.port, api_key=KEY, timeout=60)) as client,
        pytest.raises(StoreError, match=r"\*\*\*") as caught,
    ):
        ServerStore(client, "kb", retry=PATIENT).upsert(make_points(2))
    assert KEY not in "".join(traceback.format_exception(caught.value)) + caplog.text


def test_a_key_that_comes_back_over_grpc_is_taken_out():
    class RefusedError(Exception):
        def code(self):
            return types.SimpleNamespace(name="INVALID_ARGUMENT")

        def details(self):
            return f"no such user: {KEY}"

    def refuse():
        raise RefusedError(KEY)

    with pytest.raises(StoreError, match=r"INVALID_ARGUMENT: no such user: \*\*\*") as caught:
        call(refuse, PATIENT, key=Key(KEY))
    assert KEY not in "".join(traceback.format_exception(caught.value, chain=False))
    assert KEY not in str(caught.value.__cause__)
    assert is_refusal(caught.value.__cause__)


def test_a_redirect_is_not_followed(qdrant, store):
    elsewhere = f"http://localhost:{qdrant.port}/collections/theirs/points"
    qdrant.replies = lambda *_: error(307, "moved", Location=elsewhere)
    with pytest.raises(StoreError, match="307"):
        store.upsert(make_points(1))
    assert len(qdrant.requests) == 1
