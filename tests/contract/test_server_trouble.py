"""Trouble in the middle, over REST and gRPC: limits that pass, lost nodes, and others at work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import BaseModel
from qdrant_client import QdrantClient, models
from tests.clock import HOUR
from tests.qdrant_server import recorded
from tests.served_grpc import over_grpc
from tests.served_qdrant import ServedQdrant, TroubleError

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import FilterError, StoreError, StoreUnavailableError
from trivec.stores import RetryPolicy, ServerStore
from trivec.testing import FakeEncoder

# whatever the server refuses, for a while or for ever, is over at once
pytestmark = pytest.mark.usefixtures("clock")

PATIENT = RetryPolicy(
    read_deadline=HOUR, write_deadline=HOUR, first_wait=0.01, longest_wait=HOUR / 10
)


@dataclass
class Place:
    """A server, and a client by one of the protocols."""

    served: ServedQdrant
    client: QdrantClient
    sent: list[tuple[str, Any]] = field(default_factory=list)

    def opened(self, *, retry=PATIENT, **options) -> HybridIndex:
        on_demand = options.pop("index_on_demand", True)
        store = ServerStore(self.client, "kb", retry=retry, index_on_demand=on_demand)
        return HybridIndex.open(store, FakeEncoder(), **options)

    def bodies(self, what: str) -> list[Any]:
        return [body for place, body in self.sent if place == what]

    def fails(self, what: str, trouble: TroubleError, *, times: int = 10**6, first=None) -> None:
        """Refuse the first requests to a path, or all; ``first`` sees the body before."""
        left = [times]

        def hook(_verb: str, place: str, body: Any) -> None:
            if place == what and left[0]:
                left[0] -= 1
                if first is not None:
                    first(body)
                raise trouble

        self.served.hooks.append(hook)


@pytest.fixture(params=["REST", "gRPC"])
def place(request) -> Iterator[Place]:
    with ServedQdrant() as served, over_grpc(served) as port:
        client = QdrantClient(
            host="127.0.0.1",
            port=served.port,
            grpc_port=port,
            prefer_grpc=request.param == "gRPC",
            check_compatibility=False,
            timeout=60,
        )
        with contextlib.closing(client):
            made = Place(served, client)
            served.hooks.append(lambda _, what, body: made.sent.append((what, body)))
            yield made


def chunks(count, **changes):
    return [
        Chunk(f"passage number {n}", id=f"c{n}", source="a.md", **changes) for n in range(count)
    ]


def words(situation: str) -> str:
    """What a real server said."""
    return recorded(situation)[1]["status"]["error"]


TOO_LARGE = TroubleError(429, words("strict: 20 points of 10 a minute"))
TOO_OFTEN = words("strict: read 4 of 3 a minute")
LOST = TroubleError(500, words("a node is gone: write"))


# limits of rates


def test_a_batch_larger_than_the_rate_limit_is_split(place):
    index = place.opened()

    def limit(_verb, what, body):
        if what == "points" and isinstance(body, models.PointsList) and len(body.points) > 10:
            raise TOO_LARGE

    place.served.hooks.append(limit)
    assert index.add(chunks(60)).added == 60
    assert index.count() == 60
    sizes = [len(body.points) for body in place.bodies("points") if hasattr(body, "points")]
    assert sum(size for size in sizes if size <= 10) == 60
    assert sum(size > 10 for size in sizes) < 6


@pytest.mark.parametrize("hint", [1, None], ids=["with a hint", "without"])
def test_a_write_waits_for_the_rate_limit(place, hint):
    index = place.opened()
    place.fails("points", TroubleError(429, words("strict: 8 more"), hint), times=3)
    assert index.add(chunks(30)).added == 30
    assert {chunk.text for chunk in index.chunks()} == {chunk.text for chunk in chunks(30)}


@pytest.mark.parametrize("hint", [1, None], ids=["with a hint", "without"])
def test_a_search_waits_for_the_rate_limit(place, hint):
    index = place.opened()
    index.add(chunks(5))
    place.fails(
        "points/query/batch",
        TroubleError(429, words("strict: read 4 of 3 a minute"), hint),
        times=2,
    )
    assert len(index.search("passage", k=5)) == 5


@pytest.mark.parametrize("hint", [20, None], ids=["with a hint", "without"])
def test_a_search_that_the_rate_limit_never_lets_pass_says_so(place, hint):
    index = place.opened()
    place.fails(
        "points/query/batch", TroubleError(429, words("strict: read 4 of 3 a minute"), hint)
    )
    with pytest.raises(StoreUnavailableError, match="Read rate limit exceeded"):
        index.search("passage")
    assert len(place.bodies("points/query/batch")) >= 1


# a node lost


WRITES = {
    "add": ("points", lambda index: index.add(chunks(12)[6:])),
    "payload": ("points/batch", lambda index: index.add(chunks(6, metadata={"year": 2026}))),
    "ids": ("points/delete", lambda index: index.delete(ids=["c1", "c2"], source="a.md")),
    "filter": ("points/delete", lambda index: index.delete(filter={"n": 3})),
    "source": ("points/delete", lambda index: index.delete(source="a.md")),
    "prune": ("points/delete", lambda index: index.add(chunks(3), replace_sources=True)),
}
LEFT = {
    "add": set(range(12)),
    "payload": set(range(6)),
    "ids": {0, 3, 4, 5},
    "filter": {0, 1, 2, 4, 5},
    "source": set(),
    "prune": {0, 1, 2},
}


def filled(place, **options):
    index = place.opened(**options)
    index.add([Chunk(c.text, c.id, c.source, metadata={"n": n}) for n, c in enumerate(chunks(6))])
    return index


def numbers(index):
    return {int(chunk.id[1:]) for chunk in index.chunks()}


def half_done(place, what):
    """Return what a server with one of two nodes does of a write: half of it."""

    def act(body):
        if what == "points":
            place.served.local.upsert("kb", body.points[: len(body.points) // 2])
        elif what == "points/batch":
            half = body.operations[: len(body.operations) // 2]
            place.served.local.batch_update_points("kb", half)

    return act


@pytest.mark.parametrize("kind", WRITES)
def test_a_node_lost_inside_a_write_loses_nothing(place, kind):
    what, write = WRITES[kind]
    index = filled(place)
    place.sent.clear()

    def lose(_verb, at, body, left=[1]):  # noqa: B006  # one failure
        is_write = at == what and (what != "points" or isinstance(body, models.PointsList))
        if is_write and left[0]:
            left[0] = 0
            half_done(place, what)(body)
            raise LOST

    place.served.hooks.append(lose)
    write(index)
    assert numbers(index) == LEFT[kind]
    if kind == "payload":
        assert {chunk.metadata["year"] for chunk in index.chunks()} == {2026}


@pytest.mark.parametrize("kind", WRITES)
def test_a_node_that_stays_lost_is_named_in_the_server_s_words(place, kind):
    what, write = WRITES[kind]
    filled(place)
    index = place.opened()

    def lost(_verb, at, body):
        if at == what and (what != "points" or isinstance(body, models.PointsList)):
            raise LOST

    place.served.hooks.append(lost)
    with pytest.raises(StoreUnavailableError, match="1 out of 2 shards failed to apply operation"):
        write(index)
    place.served.hooks.remove(lost)
    write(index)
    assert numbers(index) == LEFT[kind]


# others at work


def test_a_collection_deleted_while_it_is_made_is_made_again(place):
    missing = TroubleError(404, "Not found: Collection `kb` doesn't exist!")
    place.fails(
        "index", missing, times=1, first=lambda _: place.served.local.delete_collection("kb")
    )
    index = place.opened()
    assert index.add(chunks(3)).added == 3
    assert set(place.served.indexes["kb"]) == set(index.schema.payload_indexes)


def test_a_worker_that_dies_before_the_indexes_leaves_them_to_the_next(place):
    place.fails("index", LOST)
    with pytest.raises(StoreUnavailableError):
        place.opened()
    assert place.served.local.collection_exists("kb")
    place.served.hooks.pop()
    index = place.opened(config=IndexConfig(payload_indexes={"year": "integer"}))
    assert set(place.served.indexes["kb"]) == {*index.schema.payload_indexes}
    assert place.served.indexes["kb"]["metadata.year"] == "integer"
    assert index.add(chunks(3)).added == 3


def test_workers_that_index_at_once_all_succeed_and_all_is_remembered(place):
    place.opened().add(chunks(2))
    keys = [f"k{n % 4}" for n in range(8)]

    def work(key):
        return place.opened().ensure_payload_index(key, "integer")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, keys)) == {"integer"}
    made = place.served.indexes["kb"]
    known = place.opened().schema.payload_indexes
    for key in keys:
        assert made[f"metadata.{key}"] == known[f"metadata.{key}"] == "integer"


# strict mode


IDS = [f"c{n}" for n in range(30)]
NAMED = [replace(chunk, metadata={"name": f"n{n}", "n": n}) for n, chunk in enumerate(chunks(30))]
LISTS = {
    "get": lambda index: len(index.get(IDS)),
    "delete": lambda index: index.delete(ids=IDS[:25]),
    "add again": lambda index: index.add(NAMED).skipped,
    "any of texts": lambda index: index.count({"name": [f"n{n}" for n in range(25)]}),
    "any of numbers": lambda index: index.count({"n": list(range(5, 95))}),
    "none of texts": lambda index: index.count({"name": {"not_in": [*IDS, "n3"]}}),
    "in a should": lambda index: index.count({"$or": [{"name": IDS}, {"name": ["n1", "n2"]}]}),
    "search": lambda index: len(index.search("passage", filter={"name": ["n1", *IDS]})),
    "explained": lambda index: len(
        index.search("passage", k=25, fusion="linear", explain=True, filter={"name": ["n1", *IDS]})
    ),
    "chunks": lambda index: len(list(index.chunks({"name": ["n1", *IDS]}))),
    "delete where": lambda index: index.delete(filter={"name": ["n1", "n2", *IDS]}),
}


@pytest.mark.parametrize("read", ["when opened", "behind it"])
@pytest.mark.parametrize("act", LISTS)
def test_lists_that_are_too_long_for_strict_mode_are_sent_in_slices(place, act, read):
    index = place.opened()
    index.add(NAMED)
    place.served.strict = {"enabled": True, "condition_max_size": 7}
    place.served.hooks.append(limit_lists(7))
    if read == "when opened":
        index = place.opened()
    assert LISTS[act](index) == EXPECTED[act]


EXPECTED = {
    "get": 30,
    "delete": 25,
    "add again": 30,
    "any of texts": 25,
    "any of numbers": 25,
    "none of texts": 29,
    "in a should": 2,
    "search": 1,
    "explained": 1,
    "chunks": 1,
    "delete where": 2,
}


@pytest.mark.parametrize("act", ["get", "any of texts", "search"])
def test_slices_that_would_be_too_many_conditions_name_what_to_do(place, act):
    index = place.opened()
    index.add(chunks(30))
    place.served.strict = {"enabled": True, "condition_max_size": 7, "filter_max_conditions": 3}
    place.served.hooks.append(limit_lists(7))
    with pytest.raises(StoreError, match=r"fewer ids at once, or set a smaller IndexConfig"):
        LISTS[act](index)
    assert len(place.opened().get(IDS[:7])) == 7


def limit_lists(most: int):
    """Refuse filters with longer lists, as a server does."""

    def limit(_verb, _what, body):
        longest = max((len(values) for values in listed(body)), default=0)
        if longest > most:
            words = f"Bad request: Condition size limit reached ({longest} > {most})"
            raise TroubleError(400, words)

    return limit


def listed(body: Any) -> Iterator[list[Any]]:
    """Yield the lists of a body's conditions, at any depth."""
    if isinstance(body, list):
        for one in body:
            yield from listed(one)
    elif isinstance(body, models.HasIdCondition):
        yield list(body.has_id)
    elif isinstance(body, models.MatchAny):
        yield list(body.any)
    elif isinstance(body, BaseModel):
        for name in type(body).model_fields:
            yield from listed(getattr(body, name))


@pytest.mark.parametrize("framework", ["langchain", "llama_index"])
def test_adapters_name_the_user_s_key_and_the_way_out(place, framework):
    index = filled(place, index_on_demand=False)
    refusal = (
        'Bad request: Index required but not found for "metadata.year" of one of the following '
        "types: [integer]. Help: Create an index for this key or use a different filter."
    )
    place.fails("points/query/batch", TroubleError(400, refusal))
    with pytest.raises(FilterError, match=r"key 'year'.*ensure_payload_index\('year', 'integer'\)"):
        SEARCHES[framework](index)


def by_langchain(index):
    from langchain_trivec import TrivecVectorStore

    TrivecVectorStore(index).similarity_search("passage", filter={"year": 2026})


def by_llama_index(index):
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery

    from llama_index_trivec import TrivecVectorStore

    filters = MetadataFilters(filters=[MetadataFilter(key="year", value=2026)])
    query = VectorStoreQuery(query_str="passage", similarity_top_k=2, filters=filters)
    TrivecVectorStore(index).query(query)


SEARCHES = {"langchain": by_langchain, "llama_index": by_llama_index}
