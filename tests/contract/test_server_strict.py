"""Strict mode in the words of the server's source: what is kept to, and what each error names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from qdrant_client import QdrantClient
from tests.clock import HOUR
from tests.qdrant_server import LoopbackQdrant, recorded
from tests.served_grpc import over_grpc
from tests.served_qdrant import ServedQdrant

from trivec import Chunk, HybridIndex
from trivec.errors import FilterError, InputError, StoreError
from trivec.stores import RetryPolicy, ServerStore
from trivec.testing import FakeEncoder

PATIENT = RetryPolicy(read_deadline=HOUR, write_deadline=HOUR, first_wait=0.01, longest_wait=0.05)
POINTS = "/collections/kb/points"
CHUNKS = [Chunk(f"passage number {n}", id=f"c{n}", metadata={"n": n}) for n in range(4)]


@pytest.fixture
def qdrant() -> Iterator[LoopbackQdrant]:
    server = LoopbackQdrant()
    yield server
    server.close()


@pytest.fixture
def client(qdrant) -> Iterator[QdrantClient]:
    made = QdrantClient(
        host="127.0.0.1", port=qdrant.port, https=False, check_compatibility=False, timeout=60
    )
    with closing(made):
        yield made


@pytest.fixture
def index(client) -> HybridIndex:
    made = HybridIndex.open(ServerStore(client, "kb", retry=PATIENT), FakeEncoder())
    made.add(CHUNKS)
    return made


def refuse(qdrant, words, method, path, when=lambda _body: True):
    """Answer 400 to some requests."""
    qdrant.rules.append(
        lambda verb, place, body: (
            (400, {"status": {"error": f"Bad request: {words}"}}, {})
            if (verb, place) == (method, path) and when(body)
            else None
        )
    )


@pytest.mark.parametrize("known", [True, False], ids=["read at opening", "set behind it"])
def test_without_exact_search_points_are_counted_by_pages(qdrant, client, index, known):
    words = "Exact search disabled!. Help: Set exact=false."
    refuse(qdrant, words, "POST", f"{POINTS}/count", lambda body: body.get("exact"))
    qdrant.strict(search_allow_exact=False)
    if known:
        index = HybridIndex.open(ServerStore(client, "kb", retry=PATIENT), FakeEncoder())
    assert index.count() == 4
    assert index.delete(filter={"n": 1}) == 4  # this server matches everything
    assert bool(qdrant.sent("POST", f"{POINTS}/count")) is not known
    pages = qdrant.sent("POST", f"{POINTS}/scroll")
    assert any(body["with_payload"] is False for body in pages)


@pytest.mark.parametrize(
    ("words", "todo"),
    [
        ("Filter condition limit reached (4 > 2)", "allows 2 here; use a filter with fewer"),
        ("Condition size limit reached (40 > 5)", "allows 5 here; use filters with shorter lists"),
        ("Condition size limit reached (40 > 5)", r"a smaller IndexConfig\.batch_size"),
        ('Limit exceeded 9 > 3 for "update limit"', r"allows 3 here; set a smaller IndexConfig"),
    ],
)
@pytest.mark.parametrize("name", ["search", "count", "delete", "chunks"])
def test_a_limit_that_is_not_kept_to_names_what_to_do(qdrant, index, words, todo, name):
    path = {"search": "query/batch", "chunks": "scroll"}.get(name, "count")
    refuse(qdrant, words, "POST", f"{POINTS}/{path}")
    calls = {
        "search": lambda: index.search("passage", filter={"n": 1}),
        "count": lambda: index.count({"n": 1}),
        "delete": lambda: index.delete(filter={"n": 1}),
        "chunks": lambda: list(index.chunks({"n": 1})),
    }
    with pytest.raises(StoreError, match=todo):
        calls[name]()


@pytest.mark.parametrize("kind", ["vector", "payload"])
def test_a_full_collection_is_no_point_s_fault(qdrant, index, kind):
    """It ends at once: each of 200 points would be sent alone before it is refused."""
    words = f"Max {kind} storage size limit of 1MB reached!"
    refuse(qdrant, words, "PUT", POINTS)
    before = len(qdrant.sent("PUT", POINTS))
    with pytest.raises(StoreError, match=f"Max {kind} storage size limit of 1MB reached"):
        index.add([Chunk(f"text {n}", id=f"d{n}") for n in range(200)])
    assert len(qdrant.sent("PUT", POINTS)) - before <= 2


def test_an_index_that_may_not_be_made_is_named_with_the_reason(qdrant, index):
    refuse(
        qdrant,
        'Index required but not found for "metadata.n" of one of the following types: [integer]',
        "POST",
        f"{POINTS}/count",
    )
    words = "Collection already has the maximum number of payload indices (3)"
    refuse(qdrant, words, "PUT", "/collections/kb/index")
    with pytest.raises(FilterError, match=r"key 'n'.*making it failed: .*maximum number of pay"):
        index.count({"n": 1})


def test_deleting_by_ids_keeps_to_a_limit_that_was_set_behind_it(qdrant, client, index):
    assert index
    store = ServerStore(client, "kb", retry=PATIENT)
    keys = [point.id for point in store.scroll()[0]]
    qdrant.strict(max_timeout=30)
    refusals = [recorded("strict: timeout 60 of 30")]
    qdrant.rules.append(
        lambda _, path, __: refusals.pop() if refusals and path.endswith("points/delete") else None
    )
    store.delete(ids=keys)
    assert store.count() == 0


def test_too_many_candidates_for_mmr_name_the_option(qdrant, index):
    qdrant.strict(max_query_limit=20)
    index.add([Chunk("another text", id="e")])  # a write reads the limits again
    with pytest.raises(InputError, match="mmr_candidates"):
        index.search("passage", k=2, mmr_lambda=0.5)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_an_integer_that_grpc_cannot_hold_is_refused_with_what_to_do(number):
    with ServedQdrant() as served, over_grpc(served) as port:
        client = QdrantClient(
            port=served.port,
            grpc_port=port,
            prefer_grpc=True,
            check_compatibility=False,
            timeout=60,
        )
        with closing(client):
            index = HybridIndex.open(client, FakeEncoder(), collection="kb")
            report = index.add([*CHUNKS, Chunk("large", id="x", metadata={"n": number})])
    assert report.added == len(CHUNKS)
    (refusal,) = report.refused
    assert refusal.id == "x"
    assert "give it as text" in refusal.reason
