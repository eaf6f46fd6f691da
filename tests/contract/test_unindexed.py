"""Keys without an index are named, and get one at any time, on both engines."""

from __future__ import annotations

import logging

import pytest
from qdrant_client import QdrantClient

from trivec import Chunk, HybridIndex
from trivec.index.hybrid import binding_of
from trivec.index.unindexed import unindexed_metadata
from trivec.testing import FakeEncoder

METADATA = {"year": 2020, "lang": "en", "a.b": 1.5, "dc:title": "x", "tags": ["a"]}


@pytest.fixture(params=["embedded", "local"])
def index(request, tmp_path):
    place = tmp_path / "kb" if request.param == "embedded" else QdrantClient(":memory:")
    named = {} if request.param == "embedded" else {"collection": "kb"}
    with HybridIndex.open(place, FakeEncoder(), **named) as index:
        index.add([Chunk(f"passage {at}", id=str(at), metadata=METADATA) for at in range(3)])
        yield index


def named_in(caplog):
    return [record.args[0] for record in caplog.records if "has no index" in record.msg]


def test_explaining_names_the_keys_that_a_filter_scans(index, caplog):
    caplog.set_level(logging.WARNING)
    asked = {"year": {"gte": 2000}, "$or": [{"lang": "en"}, {"dc:title": "x"}], "a.b": 1.5}
    assert len(index.search("passage", filter=asked, explain=True)) == 3
    assert named_in(caplog) == ["year", "lang", "dc:title", "a.b"]
    caplog.clear()
    index.search("passage", filter=asked)
    index.search("passage", explain=True)
    index.search("passage", filter=index.id_filter(["1"]), explain=True)
    assert named_in(caplog) == []


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_an_index_is_made_at_any_time_and_named_no_more(index, caplog):
    caplog.set_level(logging.WARNING)
    store = index.store
    assert unindexed_metadata(store, index.schema) == sorted(METADATA)
    for key in METADATA:
        assert index.ensure_payload_index(key)
        assert index.ensure_payload_index(key)  # again, it changes nothing
    assert unindexed_metadata(store, index.schema) == []
    asked = {"year": {"gte": 2000}, "lang": "en", "a.b": 1.5, "dc:title": "x", "tags": "a"}
    assert len(index.search("passage", filter=asked, explain=True)) == 3
    assert named_in(caplog) == []
    binding = binding_of(index)
    assert set(METADATA) <= {path.removeprefix("metadata.").strip('"') for path in indexed(binding)}


def indexed(binding):
    return binding.store.schema.payload_indexes


def test_an_index_lasts(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add([Chunk("passage", id="1", metadata=METADATA)])
        index.ensure_payload_index("year")
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        assert index.schema.payload_indexes["metadata.year"] == "integer"
        assert unindexed_metadata(index.store, index.schema) == sorted({*METADATA} - {"year"})
        assert [hit.id for hit in index.search("passage", filter={"year": 2020})] == ["1"]


def test_a_key_with_half_a_surrogate_pair_is_indexed_as_it_is_kept(index):
    index.add([Chunk("a passage", id="odd", metadata={"k\ud800": "x"})])
    assert index.ensure_payload_index("k\ud800") == "keyword"
    assert index.ensure_payload_index("z\ud800", "integer") == "integer"
