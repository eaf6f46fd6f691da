"""What real servers refuse, forget and limit, replayed on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from tests.clock import HOUR
from tests.qdrant_server import LoopbackQdrant, fine, recorded

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.errors import (
    CollectionError,
    FilterError,
    FingerprintMismatchError,
    InputError,
    StoreError,
    StoreUnavailableError,
)
from trivec.index.aio import AsyncHybridIndex
from trivec.stores import AsyncServerStore, RetryPolicy, ServerStore
from trivec.stores.server.versions import FEATURES, shown
from trivec.testing import FakeEncoder

PATIENT = RetryPolicy(
    read_deadline=HOUR, write_deadline=HOUR, first_wait=0.01, longest_wait=HOUR / 10
)
HASTY = RetryPolicy(read_deadline=0.5, write_deadline=0.5)
SOON = 30  # seconds: what has a deadline that is short ends by then on any machine
POINTS = "/collections/kb/points"


@pytest.fixture
def qdrant() -> Iterator[LoopbackQdrant]:
    server = LoopbackQdrant()
    yield server
    server.close()


@pytest.fixture
def client(qdrant) -> Iterator[QdrantClient]:
    with contextlib.closing(connect(qdrant)) as made:
        yield made


def connect(qdrant, kind=QdrantClient):
    return kind(
        host="127.0.0.1", port=qdrant.port, https=False, check_compatibility=False, timeout=60
    )


@contextlib.asynccontextmanager
async def awaited_store(qdrant, retry=PATIENT) -> AsyncIterator[AsyncServerStore]:
    """An asynchronous store over a client of its own, for as long as it is used."""
    client = connect(qdrant, AsyncQdrantClient)
    try:
        yield AsyncServerStore(client, "kb", retry=retry)
    finally:
        await client.close()


def opened(client, *, retry=PATIENT, encoder=None, **options) -> HybridIndex:
    on_demand = options.pop("index_on_demand", True)
    store = ServerStore(client, "kb", retry=retry, index_on_demand=on_demand)
    return HybridIndex.open(store, encoder or FakeEncoder(), **options)


def hastened(index, retry=HASTY) -> HybridIndex:
    """An index that was opened with all the time it takes, and is short of it from now on."""
    index.store._retry = retry
    return index


def chunks(count, **metadata):
    return [Chunk(f"passage number {n}", id=f"c{n}", metadata=metadata) for n in range(count)]


def texts_of(body):
    return [point["payload"]["text"] for point in body["points"]]


@pytest.fixture(params=["sync", "async"])
def add(request, qdrant):
    """Adds chunks to an index, by either kind of it."""

    def adding(index, given, retry=PATIENT):
        if request.param == "sync":
            return index.add(given)

        async def awaited():
            async with awaited_store(qdrant, retry) as store:
                return await AsyncHybridIndex(index, store).add(given)

        return asyncio.run(awaited())

    return adding


# one refused point


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ("a vector of the wrong size", "expected dim: 4, got 2"),
        ("a sparse vector with an index twice", "must be unique"),
        ("140 levels of payload", "recursion limit exceeded"),
        ("40 MB", "larger than allowed"),
    ],
)
def test_a_refused_point_does_not_block_the_others(qdrant, client, add, situation, said):
    bad = {"passage number 3", "passage number 150"}

    def refuse(method, path, body):
        if (method, path) == ("PUT", POINTS) and bad & set(texts_of(body)):
            return recorded(situation)
        return None

    qdrant.rules.append(refuse)
    report = add(opened(client), chunks(300))
    assert [refusal.id for refusal in report.refused] == ["c3", "c150"]
    assert all(said in refusal.reason for refusal in report.refused)
    assert (report.added, report.updated, report.skipped) == (298, 0, 0)
    assert len(qdrant.collections["kb"]["points"]) == 298


def test_a_whole_batch_of_refused_points_does_not_block_the_others(qdrant, client, add):
    def refuse(method, path, body):
        is_write = (method, path) == ("PUT", POINTS)
        if is_write and any(int(text.split()[-1]) < 140 for text in texts_of(body)):
            return recorded("a vector of the wrong size")
        return None

    qdrant.rules.append(refuse)
    report = add(opened(client, config=IndexConfig(batch_size=32)), chunks(200))
    assert (report.added, len(report.refused)) == (60, 140)


# acknowledged is not stored


def test_an_acknowledged_write_is_verified(qdrant, client, add):
    def acknowledge(method, path, body):
        if (method, path) == ("PUT", POINTS):
            stored = qdrant.collections["kb"]["points"]
            stored.update({point["id"]: point for point in body["points"]})
            return recorded("write without waiting")
        return None

    qdrant.rules.append(acknowledge)
    assert add(opened(client), chunks(3)).added == 3


def test_an_acknowledged_write_that_is_lost_is_reported(qdrant, client, add, clock):
    qdrant.rules.append(
        lambda method, path, _: (
            recorded("write without waiting") if (method, path) == ("PUT", POINTS) else None
        )
    )
    with pytest.raises(StoreUnavailableError, match="did not apply it in time"):
        add(opened(client), chunks(3))
    assert 0 < clock.now < PATIENT.write_deadline


@pytest.mark.usefixtures("clock")
def test_an_acknowledged_deletion_is_verified(qdrant, client):
    index = opened(client)
    index.add(chunks(3))
    qdrant.rules.append(
        lambda _, path, __: recorded("write without waiting") if path.endswith("delete") else None
    )
    with pytest.raises(StoreUnavailableError, match="did not apply it in time"):
        index.delete(ids=["c1"])


# a collection that is created again


def test_a_collection_created_again_by_another_model_is_noticed(qdrant, client, add):
    old = opened(client)
    old.add(chunks(2))
    del qdrant.collections["kb"]
    opened(client, encoder=FakeEncoder(name="another", vocabulary=1000))
    with pytest.raises(FingerprintMismatchError, match="created again"):
        old.add(chunks(5))
    assert qdrant.collections["kb"]["points"] == {}


def test_a_collection_created_again_by_nobody_we_know_is_noticed(qdrant, client):
    old = opened(client)
    del qdrant.collections["kb"]
    params = {"vectors": {"dense": {"size": 4, "distance": "Cosine"}}}
    qdrant.answer("PUT", "/collections/kb", params)
    with pytest.raises(CollectionError, match="created again"):
        old.add(chunks(1))


# opening


def test_eight_workers_open_the_same_new_collection(qdrant):
    def work(number):
        with contextlib.closing(connect(qdrant)) as client:
            index = opened(client)
            index.add([Chunk(f"text {number}", id=str(number))])
            return index.schema

    with ThreadPoolExecutor(8) as pool:
        schemas = list(pool.map(work, range(8)))
    assert all(schema == schemas[0] for schema in schemas)
    assert len(qdrant.collections["kb"]["points"]) == 8


def test_indexes_are_completed_at_open(qdrant, client):
    schema = opened(client).schema
    assert set(qdrant.collections["kb"]["indexes"]) == set(schema.payload_indexes)
    qdrant.collections["kb"]["indexes"].clear()  # a crash between, or somebody dropped them
    opened(client, config=IndexConfig(payload_indexes={"year": "integer"}))
    made = qdrant.collections["kb"]["indexes"]
    assert set(made) == {*schema.payload_indexes, "metadata.year"}
    assert made["metadata.year"] == "integer"
    assert opened(client).schema.payload_indexes["metadata.year"] == "integer"
    before = len(qdrant.sent("PUT", "/collections/kb/index"))
    opened(client)
    assert len(qdrant.sent("PUT", "/collections/kb/index")) == before


def test_a_read_only_key_opens_a_collection_without_indexes(qdrant, client, caplog):
    opened(client).add(chunks(1))
    qdrant.collections["kb"]["indexes"].clear()
    qdrant.rules.append(
        lambda method, _, __: (
            recorded("read-only key, write") if method != "GET" and method == "PUT" else None
        )
    )
    assert opened(client).search("passage", k=1)
    assert "lacks the payload indexes" in caplog.text


# the server's own words


def test_a_full_disk_ends_at_once(qdrant, client, add, clock):
    index = opened(client)
    qdrant.rules.append(
        lambda method, path, _: (
            recorded("disk full: write") if (method, path) == ("PUT", POINTS) else None
        )
    )
    with pytest.raises(StoreError, match="No space left on device") as caught:
        add(opened(client), chunks(2))
    assert clock.waits == []
    assert not isinstance(caught.value, StoreUnavailableError)
    assert len(qdrant.sent("PUT", POINTS)) == 1
    assert index.count() == 0


def test_a_node_that_is_down_is_named(qdrant, client, clock):
    index = opened(client)
    qdrant.rules.append(
        lambda _, path, __: recorded("a node is gone: search") if "query" in path else None
    )
    with pytest.raises(StoreUnavailableError, match=r"1 of 1 read operations failed.*currently"):
        index.search("anything")
    assert len(qdrant.sent("POST", f"{POINTS}/query/batch")) > 1
    assert clock.now < PATIENT.read_deadline


# rate limits


def test_a_batch_larger_than_the_rate_limit_is_split(qdrant, client, add):
    def limit(method, path, body):
        if (method, path) == ("PUT", POINTS) and len(body["points"]) > 10:
            return recorded("strict: 20 points of 10 a minute")
        return None

    qdrant.rules.append(limit)
    assert add(opened(client), chunks(100)).added == 100
    sizes = [len(body["points"]) for body in qdrant.sent("PUT", POINTS)]
    assert sum(size for size in sizes if size <= 10) == 100
    assert len([size for size in sizes if size > 10]) < 6


def test_a_long_write_is_paced(qdrant, client, add, clock):
    """The server lets a batch pass after three refusals; together they outlast the deadline."""
    tries = []

    def limit(method, path, _):
        if (method, path) != ("PUT", POINTS):
            return None
        tries.append(1)
        status, answer, _ = recorded("strict: 8 more")
        return (status, answer, {"retry-after": "50"}) if len(tries) % 4 else None

    qdrant.rules.append(limit)
    shorter = RetryPolicy(read_deadline=HOUR, write_deadline=100.0, longest_wait=60.0)
    assert add(opened(client, retry=shorter), chunks(4), retry=shorter).added == 4
    assert clock.waits == [50.0] * 3


def test_a_rate_limit_that_is_read_is_kept_to(qdrant, client, add):
    index = opened(client)
    qdrant.strict(write_rate_limit=7, upsert_max_batchsize=20)
    add(index, chunks(30))
    assert {len(body["points"]) for body in qdrant.sent("PUT", POINTS)} <= {7, 2, 30 % 7}


@pytest.mark.usefixtures("clock")
def test_a_rate_limited_read_says_so(qdrant, client):
    index = opened(client)
    qdrant.rules.append(
        lambda _, path, __: (
            recorded("strict: read 4 of 3 a minute") if path.endswith("count") else None
        )
    )
    with pytest.raises(StoreUnavailableError, match="Read rate limit exceeded"):
        index.count()


# strict mode


def demands_an_index(qdrant, path="metadata.lang", kind="keyword"):
    def rule(method, request, body):
        searches = body.get("searches", [body])
        filtered = any(f'"{path}"' in str(search).replace("'", '"') for search in searches)
        missing = path not in qdrant.collections["kb"]["indexes"]
        if "index" not in request and method == "POST" and filtered and missing:
            status, answer, headers = recorded("strict: filter without an index")
            words = answer["status"]["error"].replace('"lang"', f'"{path}"')
            return status, {"status": {"error": words.replace("keyword", kind)}}, headers
        return None

    qdrant.rules.append(rule)


FILTERED = {
    "search": lambda index: index.search("passage", filter={"lang": "zh"}),
    "count": lambda index: index.count({"lang": "zh"}),
    "chunks": lambda index: list(index.chunks({"lang": "zh"})),
    "delete": lambda index: index.delete(filter={"lang": "zh"}),
}


@pytest.mark.parametrize("name", FILTERED)
def test_the_first_filter_makes_the_index(qdrant, client, name):
    index = opened(client)
    index.add(chunks(2, lang="zh"))
    demands_an_index(qdrant)
    FILTERED[name](index)
    FILTERED[name](index)
    assert qdrant.collections["kb"]["indexes"]["metadata.lang"] == "keyword"
    made = [body["field_name"] for body in qdrant.sent("PUT", "/collections/kb/index")]
    assert made.count("metadata.lang") == 1


@pytest.mark.parametrize("name", FILTERED)
def test_switched_off_the_error_names_key_and_call(qdrant, client, name):
    index = opened(client, index_on_demand=False)
    index.add(chunks(2, lang="zh"))
    demands_an_index(qdrant)
    with pytest.raises(FilterError, match=r"key 'lang'.*ensure_payload_index\('lang', 'keyword'\)"):
        FILTERED[name](index)
    index.ensure_payload_index("lang")
    FILTERED[name](index)


def test_the_configuration_switches_it_off(qdrant, client):
    config = IndexConfig(index_on_demand=False)
    index = HybridIndex.open(client, FakeEncoder(), collection="kb", config=config)
    demands_an_index(qdrant)
    with pytest.raises(FilterError, match="'lang'"):
        index.count({"lang": "zh"})


def test_an_index_that_does_not_help_is_made_once(qdrant, client):
    index = opened(client)
    qdrant.rules.append(
        lambda _, path, __: (
            recorded("strict: filter without an index") if path.endswith("count") else None
        )
    )
    with pytest.raises(FilterError, match="'lang'"):
        index.count({"lang": "zh"})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("zh", "keyword"),
        (3, "integer"),
        (2.5, "float"),
        (True, "bool"),
        (["a", "b"], "keyword"),
        ("2024-01-01T10:00:00", "datetime"),
    ],
)
def test_an_index_is_of_the_type_of_the_values(qdrant, client, value, kind):
    index = opened(client)
    index.add([Chunk("a text", id="a", metadata={"n": value})])
    assert index.ensure_payload_index("n") == kind
    assert qdrant.collections["kb"]["indexes"]["metadata.n"] == kind
    with pytest.raises(InputError, match="give kind"):
        index.ensure_payload_index("nobody")


def test_both_adapters_make_indexes(qdrant, client):
    from langchain_trivec import TrivecVectorStore as LangChainStore
    from llama_index_trivec import TrivecVectorStore as LlamaIndexStore

    index = opened(client)
    made = qdrant.collections["kb"]["indexes"]
    for number, kind in enumerate([LangChainStore, LlamaIndexStore]):
        store = kind(index)
        assert store.ensure_payload_index(f"a{number}", "integer") == "integer"
        awaited = store.aensure_payload_index(f"b{number}", "keyword")
        assert asyncio.run(awaited) == "keyword"
        assert made[f"metadata.a{number}"] == "integer"
        assert made[f"metadata.b{number}"] == "keyword"


def test_searches_keep_to_the_limits(qdrant, client):
    opened(client).add(chunks(4))
    qdrant.strict(max_query_limit=50, search_max_batchsize=2, search_allow_exact=False)
    index = opened(client)
    index.search_batch(["a", "b", "c", "d", "e"], k=3, explain=True)
    for body in qdrant.sent("POST", f"{POINTS}/query/batch"):
        assert len(body["searches"]) <= 2
        for search in body["searches"]:
            assert search["limit"] <= 50
            assert all(one["limit"] <= 50 for one in search.get("prefetch") or [])
            assert "exact" not in (search.get("params") or {})
    list(index.chunks())
    assert all(body["limit"] <= 50 for body in qdrant.sent("POST", f"{POINTS}/scroll"))
    with pytest.raises(InputError, match="max_query_limit"):
        index.search("a", k=60)


def test_limits_set_behind_an_open_index_are_read_again(qdrant, client):
    index = opened(client)
    index.add(chunks(2))
    qdrant.strict(max_query_limit=50)
    qdrant.rules.append(
        lambda _, path, body: (
            recorded("strict: limit 100 of 50")
            if "query" in path
            and any(p["limit"] > 50 for s in body["searches"] for p in s.get("prefetch") or [])
            else None
        )
    )
    assert index.search("passage", k=2)


def test_a_limit_that_cannot_be_kept_names_what_to_do(qdrant, client):
    index = opened(client)
    words = 'Bad request: Limit exceeded 3 > 2 for "filter conditions". Help: fewer.'
    qdrant.rules.append(
        lambda _, path, __: (
            (400, {"status": {"error": words}}, {}) if path.endswith("count") else None
        )
    )
    with pytest.raises(StoreError, match=r"allows 2 here; use a filter with fewer conditions"):
        index.count({"a": 1})


def test_a_write_keeps_to_the_longest_timeout(qdrant, client):
    index = opened(client)
    qdrant.strict(max_timeout=30)
    seen = []
    inner = client._client.http.client.send
    client._client.http.client.send = lambda request, type_: (
        seen.append(str(request.url)),
        inner(request, type_),
    )[1]
    patient = RetryPolicy()
    HybridIndex.open(ServerStore(client, "kb", retry=patient), FakeEncoder()).add(chunks(1))
    assert index
    written = [url for url in seen if "wait=true" in url]
    assert written
    assert all("timeout=30" in url for url in written), written


# versions


NEWER = {
    "slice": models.SliceCondition(slice=models.Slice(total=2, index=0)),
    "prefix": models.FieldCondition(key="a", match=models.MatchPrefix(prefix="x")),
    "substring": models.FieldCondition(key="a", match=models.MatchSubstring(substring="x")),
}


@pytest.mark.parametrize("name", NEWER)
@pytest.mark.parametrize("act", ["delete", "search", "count"])
def test_a_condition_that_the_server_does_not_know(qdrant, client, name, act):
    index = opened(client)
    index.add(chunks(3))
    nested = models.Filter(must_not=[models.Filter(should=[NEWER[name]])])
    with pytest.raises(FilterError, match=r"came with Qdrant 1\.(19|20).*is Qdrant 1\.18\.3"):
        {
            "delete": lambda: index.delete(filter=nested),
            "search": lambda: index.search("passage", filter=nested),
            "count": lambda: index.count(nested),
        }[act]()
    assert len(qdrant.collections["kb"]["points"]) == 3


def test_a_server_that_does_not_tell_its_version_deletes_nothing_unsure():
    """Over gRPC an old server would drop the condition and delete everything."""
    from trivec.stores.server.calls import Calls
    from trivec.stores.server.terms import Terms
    from trivec.stores.server.wire.models import ModelWire

    terms = Terms(Calls("kb", ModelWire()), local=False, grpc=True, index_on_demand=True)
    terms._asked = True
    with pytest.raises(FilterError, match="does not tell its version"):
        next(terms.require_understood(models.Filter(must=[NEWER["slice"]])), None)


@pytest.mark.parametrize(
    ("version", "arms", "here"),
    [
        ("1.16.3", {"dense": 3.0, "bm25": 1.0}, True),
        ("1.18.3", {"dense": 3.0, "bm25": 1.0}, False),
        ("1.15.5", ("dense", "bm25"), True),  # it would drop the constant
        ("1.16.3", ("dense", "bm25"), False),
    ],
)
def test_ranks_are_fused_alike_whatever_the_version(qdrant, client, version, arms, here):
    qdrant.version = version
    index = opened(client)
    index.add(chunks(4))
    qdrant.requests.clear()
    hits = index.search("passage number", k=3, options=SearchOptions(fusion="rrf", arms=arms))
    assert len(hits) == 3
    searches = qdrant.sent("POST", f"{POINTS}/query/batch")[0]["searches"]
    assert len(searches) == (2 if here else 1)
    if here:
        assert all("prefetch" not in search for search in searches)
        assert hits[0].score > hits[1].score


def test_a_server_that_drops_the_metadata_gets_no_collection(qdrant, client):
    qdrant.version = "1.15.0"
    with pytest.raises(CollectionError, match=r"1\.15\.4"):
        opened(client)
    assert qdrant.collections == {}


# too much at once, and time


def test_many_searches_are_several_requests(qdrant, client):
    index = opened(client)
    index.add(chunks(2))
    results = index.search_batch([f"question {n}" for n in range(300)], k=1)
    assert [len(hits) for hits in results] == [1] * 300
    sizes = [len(body["searches"]) for body in qdrant.sent("POST", f"{POINTS}/query/batch")]
    assert sum(sizes) == 300 * 5  # three lists to fuse, and the best of the two of words
    assert max(sizes) <= 64


def test_the_default_search_is_two_requests(qdrant, client):
    index = opened(client)
    index.add(chunks(2))
    before = len(qdrant.requests)
    assert len(index.search("question", k=2)) == 2
    paths = [path for _, path, _ in qdrant.requests[before:]]
    assert paths == [f"{POINTS}/query/batch", POINTS]


def test_several_batches_are_written_at_once(qdrant, client, add):
    under_way, most, several = [], [], threading.Event()

    def watch(method, path, _):
        if (method, path) == ("PUT", POINTS):
            under_way.append(1)
            if len(under_way) > 1:
                several.set()
            most.append(len(under_way))
            several.wait(SOON if len(most) == 1 else 0)  # the first is not alone for long
            time.sleep(0.1)
            under_way.pop()

    qdrant.rules.append(watch)
    index = opened(client, config=IndexConfig(batch_size=4))
    assert add(index, chunks(40)).added == 40
    assert 2 <= max(most) <= 4
    assert len(qdrant.collections["kb"]["points"]) == 40


def test_few_async_searches_are_under_way_at_once(qdrant, client):
    opened(client).add(chunks(1))
    under_way, most = [], []

    def watch(_, path, __):
        if path.endswith("count"):
            under_way.append(1)
            most.append(len(under_way))
            time.sleep(0.01)
            under_way.pop()

    qdrant.rules.append(watch)

    async def many():
        async with awaited_store(qdrant) as store:
            return await asyncio.gather(*(store.count() for _ in range(100)))

    assert asyncio.run(many()) == [1] * 100
    assert max(most) <= 16


def test_a_write_that_hangs_ends_at_its_deadline(qdrant, client, add):
    def hang(method, path, _):
        if (method, path) == ("PUT", POINTS):
            qdrant.is_over.wait(HOUR)

    index = opened(client)
    qdrant.rules.append(hang)
    short = RetryPolicy(read_deadline=HOUR, write_deadline=0.5)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer in time"):
        add(hastened(index, short), chunks(1), short)
    assert time.monotonic() - begun < SOON
    assert len(qdrant.sent("PUT", POINTS)) == 1


def test_fine_is_what_the_recorded_answers_are():
    """The loopback's own answers have the form of real ones."""
    assert fine(True)[1]["status"] == recorded("write without waiting")[1]["status"]


@pytest.mark.parametrize("act", ["write", "read"])
def test_an_answer_that_drips_ends_at_the_deadline(qdrant, client, add, act):
    index = hastened(opened(client))
    qdrant.drips = lambda _, path: path in (POINTS, f"{POINTS}/count")
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer in time"):
        add(index, chunks(1), HASTY) if act == "write" else index.count()
    assert time.monotonic() - begun < SOON


def test_the_docs_show_the_table_of_versions():
    page = (Path(__file__).parents[2] / "docs" / "servers.md").read_text("utf-8")
    rows = [
        f"| {shown(feature.since)} | {feature.what} | {feature.without} |"
        for feature in FEATURES.values()
    ]
    assert "\n".join(rows) in page
