"""Filters over whole indexes: every payload layout finds what was put there, and nothing else."""

from __future__ import annotations

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.payloads.codecs import CODECS
from trivec.testing import FakeEncoder, MemoryStore

KEYS = [
    "a.b",
    'quo"te',
    "dc:title",
    "document_id",
    "doc_id",
    "ref_doc_id",
    "_node_content",
    "trivec",
]


@pytest.fixture(params=sorted(CODECS))
def layout(request):
    return request.param


@pytest.fixture(params=["edge", "fake"])
def index(request, layout, tmp_path):
    place = tmp_path / "kb" if request.param == "edge" else MemoryStore()
    config = IndexConfig(codec=layout, payload_indexes={"n": "float", "a.b": "keyword"})
    with HybridIndex.open(place, FakeEncoder(), config=config) as opened:
        yield opened


def matching(index, filter):
    assert index.count(filter) == len(list(index.chunks(filter)))
    return {chunk.id for chunk in index.chunks(filter)}


@pytest.mark.parametrize("key", KEYS)
def test_a_users_key_is_the_users_own(index, key):
    index.add(
        [
            Chunk("one", id="1", source="s", metadata={key: "keep"}),
            Chunk("two", id="2", source="s", metadata={key: "drop"}),
            Chunk("three", id="3", source="keep"),
        ]
    )
    assert matching(index, {key: "keep"}) - {"3"} == {"1"}
    assert matching(index, {key: {"ne": "keep"}}) >= {"2"}
    assert "1" not in matching(index, {key: {"ne": "keep"}})
    assert index.delete(filter={key: {"eq": "drop"}}) == 1
    assert {chunk.id: chunk.metadata for chunk in index.chunks()} == {"1": {key: "keep"}, "3": {}}


def test_numbers_are_found(index):
    numbers = [25.643769918316394, 1764377236.1234567, 2020, 2020.5, 2**63, 2**60 + 1, -7]
    index.add(
        Chunk(f"text {at}", id=str(at), metadata={"n": number, "deep": {"n": [number]}})
        for at, number in enumerate(numbers)
    )
    for at, number in enumerate(numbers):
        assert matching(index, {"n": number}) == {str(at)}
        assert matching(index, {"deep.n": number}) == {str(at)}
    assert matching(index, {"n": 2020.0}) == {"2"}
    assert matching(index, {"n": {"lt": 25.643769918316394}}) == {"6"}
    assert [hit.chunk.id for hit in index.search("text", filter={"n": numbers[1]})] == ["1"]
