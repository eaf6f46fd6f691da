"""How deep metadata and filters may nest: one limit below every engine's, on every road in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import RestToGrpc, payload_to_grpc

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import FilterError, InputError
from trivec.index import AsyncHybridIndex
from trivec.payloads.codecs import CODECS
from trivec.query import Prefetch, StoreQuery
from trivec.schema import MAX_DEPTH
from trivec.testing import FakeEncoder
from trivec.types import Point

CYCLE: dict = {}
CYCLE["inner"] = [CYCLE]
TOO_DEEP = (MAX_DEPTH + 1, 125, 1_000, 100_000)


def nested(levels, kind=dict):
    """Levels of dicts, or of lists in one dict."""
    value = "x"
    for _ in range(levels - 1):
        value = {"a": value} if kind is dict else [value]
    return {"a": value}


def nested_filter(levels):
    inner = models.Filter(
        must=[models.FieldCondition(key="metadata.a", match=models.MatchValue(value="x"))]
    )
    for _ in range(levels - 1):
        inner = models.Filter(must=[inner])
    return inner


def nested_negation(levels):
    inner = {"a": "x"}
    for _ in range(levels):
        inner = {"$not": inner}
    return inner


def cyclic_filter():
    outer = models.Filter(must=[])
    outer.must.append(outer)
    return outer


@pytest.fixture
def index(location):
    with HybridIndex.open(**location, encoder=FakeEncoder()) as opened:
        opened.add([Chunk("a red car", id="car")])
        yield opened


@pytest.mark.parametrize("kind", [dict, list])
@pytest.mark.parametrize("codec", [*CODECS])
def test_the_limit_itself_is_stored_found_and_read_again(location, codec, kind):
    config = IndexConfig(codec=codec)
    chunk = Chunk(
        "a red car", id="1", metadata=nested(MAX_DEPTH, kind), extra=nested(MAX_DEPTH, kind)
    )
    with HybridIndex.open(**location, encoder=FakeEncoder(), config=config) as index:
        assert index.add([chunk]).added == 1
        key = "a" if kind is list else ".".join("a" * MAX_DEPTH)
        expected = [] if kind is list else [chunk]  # Qdrant looks into one list
        assert list(index.chunks(filter={key: "x"})) == expected
    if isinstance(location["location"], Path):
        with HybridIndex.open(**location, encoder=FakeEncoder()) as index:
            assert index.get(["1"]) == [chunk]


@pytest.mark.parametrize("field", ["metadata", "extra"])
@pytest.mark.parametrize("value", [*map(nested, TOO_DEEP), nested(125, list), CYCLE])
def test_deeper_chunks_are_refused_and_the_others_stored(index, field, value):
    report = index.add([Chunk("x", id="deep", **{field: value}), Chunk("y", id="flat")])
    assert (report.added, [one.id for one in report.refused]) == (1, ["deep"])
    assert f"{field} is nested more than {MAX_DEPTH} levels" in report.refused[0].reason
    assert sorted(chunk.id for chunk in index.chunks()) == ["car", "flat"]


FILTERS = [
    *map(nested_filter, TOO_DEEP[:-1]),
    *map(nested_negation, (MAX_DEPTH, 1_000)),
    {"$and": [nested_filter(MAX_DEPTH)]},
    {"a": nested(125)},
    cyclic_filter(),
    {"$or": [CYCLE]},
]


@pytest.mark.parametrize("filter", FILTERS, ids=range(len(FILTERS)))
def test_deeper_filters_are_refused_and_nothing_is_deleted(index, filter):
    for use in (
        lambda: index.delete(filter=filter),
        lambda: index.search("car", filter=filter),
        lambda: index.count(filter),
        lambda: list(index.chunks(filter)),
    ):
        with pytest.raises(FilterError, match="levels"):
            use()
    assert index.count() == 1


def test_a_filter_at_the_limit_works(location):
    with HybridIndex.open(**location, encoder=FakeEncoder(), tenant="t") as index:
        index.add([Chunk("a red car", id="car", metadata={"a": "x"})])
        assert len(index.search("car", filter=nested_filter(MAX_DEPTH))) == 1
        assert index.count(nested_negation(MAX_DEPTH // 2 - 1)) in (0, 1)
        assert index.delete(filter=nested_filter(MAX_DEPTH)) == 1


async def _refused(index):
    with pytest.raises(FilterError, match="levels"):
        await index.delete(filter=nested_filter(121))
    report = await index.add([Chunk("x", metadata=nested(121))])
    assert len(report.refused) == 1


def test_the_asynchronous_index_refuses_them_too(tmp_path):
    async def scenario():
        with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
            await _refused(AsyncHybridIndex(index))

    asyncio.run(scenario())


# The stores, where somebody uses them without an index


def test_a_store_refuses_deep_payloads_before_it_writes(store, points):
    store.upsert(points[:1])
    payload = {"metadata": nested(MAX_DEPTH + 1)}
    flat = Point(2, points[1].vectors, {})
    with pytest.raises(InputError, match="point 3 is nested"):
        store.upsert([flat, Point(3, points[2].vectors, payload)])
    with pytest.raises(InputError, match="point 1 is nested"):
        store.overwrite_payload({points[0].id: payload})
    assert [point.payload for point in store.scroll()[0]] == [points[0].payload]


def test_a_store_refuses_deep_filters_before_it_writes(store, points):
    store.upsert(points[:1])
    deep = nested_filter(62)
    dense = points[0].vectors["dense"]
    for use in (
        lambda: store.delete(filter=deep),
        lambda: store.count(deep),
        lambda: store.scroll(filter=deep),
        lambda: store.query([StoreQuery((Prefetch("dense", dense, 1),), 1, filter=deep)]),
        lambda: store.update_vectors({points[0].id: {"dense": dense}}, where=deep),
    ):
        with pytest.raises(FilterError, match="levels"):
            use()
    assert store.count() == 1


# What the limit is derived from


def test_grpc_reads_payloads_of_the_limit_back():
    payload = {"metadata": nested(MAX_DEPTH), "vector": np.float32(1).item()}
    point = grpc.ScoredPoint(payload=payload_to_grpc(payload))
    answer = grpc.QueryBatchResponse(result=[grpc.BatchResult(result=[point])])
    assert grpc.QueryBatchResponse.FromString(answer.SerializeToString()) == answer


def test_grpc_reads_filters_of_the_stores_limit():
    filter = RestToGrpc.convert_filter(nested_filter(MAX_DEPTH + 8))
    inner = grpc.PrefetchQuery(prefetch=[grpc.PrefetchQuery(filter=filter)])
    request = grpc.QueryBatchPoints(query_points=[grpc.QueryPoints(prefetch=[inner])])
    assert grpc.QueryBatchPoints.FromString(request.SerializeToString()) == request
