"""Fields of SearchOptions by name: the same on every index that searches."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from typing import get_type_hints

import pytest

from trivec import (
    AsyncHybridIndex,
    Chunk,
    Hit,
    HybridIndex,
    IndexConfig,
    InputError,
    QuestionIndex,
    SearchOptions,
)
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import SearchOverrides

CHUNKS = [
    Chunk(f"green tea number {n}", id=str(n), source=f"{n}.md", metadata={"n": n}) for n in range(6)
]
OTHERS = {
    "arms": ["dense", "bm25"],
    "fusion": "rrf",
    "rrf_k": 61,
    "prefetch_k": 3,
    "colbert": "rescore",
    "offset": 2,
    "thresholds": {"dense": 0.1},
    "mmr_lambda": 0.5,
    "mmr_candidates": 3,
    "explain": True,
}
"""Every field, with another value than its default."""


class Awaited:
    """An asynchronous index, called as the other is."""

    def __init__(self, index):
        self._index = AsyncHybridIndex(index)

    def search(self, *arguments, **named):
        return asyncio.run(self._index.search(*arguments, **named))

    def search_batch(self, *arguments, **named):
        return asyncio.run(self._index.search_batch(*arguments, **named))


@pytest.fixture(params=["sync", "async", "questions"])
def index(request):
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as opened:
        opened.add(CHUNKS)
        if request.param == "questions":
            with QuestionIndex.open(opened) as questions:
                yield questions
        else:
            yield opened if request.param == "sync" else Awaited(opened)


def test_the_fields_are_those_of_the_options():
    assert list(get_type_hints(SearchOverrides)) == [field.name for field in fields(SearchOptions)]
    assert get_type_hints(SearchOverrides) == get_type_hints(SearchOptions)
    assert OTHERS.keys() == get_type_hints(SearchOverrides).keys()
    assert all(getattr(SearchOptions(), name) != value for name, value in OTHERS.items())


@pytest.mark.parametrize("name", OTHERS)
def test_a_field_by_name_is_the_field_of_the_options(index, name):
    given = {name: OTHERS[name]}
    expected = index.search("green tea", 3, options=SearchOptions(**given))
    assert index.search("green tea", 3, **given) == expected
    assert index.search_batch(["green tea"], 3, **given) == [expected]


def test_explained_by_name(index):
    (best, *_) = index.search("green tea", 3, explain=True, arms=["dense", "sparse"])
    assert set(best.arms) == {"dense", "sparse"}
    assert best.matches


def test_options_and_a_name_join(index):
    options = SearchOptions(arms=("dense", "sparse"))
    joined = index.search("green tea", 3, options=options, explain=True)
    assert joined == index.search("green tea", 3, options=replace(options, explain=True))


@pytest.mark.parametrize("name", OTHERS)
def test_a_field_given_twice_must_agree(index, name):
    value = OTHERS[name]
    options = SearchOptions(**{name: value})
    assert index.search("green tea", 3, options=options, **{name: value})
    default = getattr(SearchOptions(), name)
    with pytest.raises(InputError, match=rf"{name} is given twice.*leave one of them out"):
        index.search("green tea", 3, options=options, **{name: default})


def test_a_list_of_arms_agrees_with_a_tuple(index):
    options = SearchOptions(arms=("dense",))
    assert index.search("green tea", 3, options=options, arms=["dense"])


def test_an_unknown_name_says_what_is_allowed(index):
    with pytest.raises(InputError, match=r"unknown arguments \['arm'\]; allowed: .*'arms'"):
        index.search("green tea", 3, arm="dense")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_by_vector_too(kind):
    encoder = FakeEncoder()
    with HybridIndex.open(MemoryStore(), encoder) as opened:
        opened.add(CHUNKS)
        vector = encoder.encode_queries(["green tea"])[0].dense
        expected = opened.search_by_vector(vector, 2, options=SearchOptions(offset=1))
        if kind == "sync":
            found = opened.search_by_vector(vector, 2, offset=1)
        else:
            search = AsyncHybridIndex(opened).search_by_vector(vector, 2, offset=1)
            found = asyncio.run(search)
    assert found == expected
    assert len(found) == 2


def test_a_hit_reads_like_its_chunk():
    hit = Hit(Chunk("text", id="1", source="a.md", metadata={"n": 1}), 0.5)
    assert (hit.id, hit.text, hit.source, hit.metadata) == ("1", "text", "a.md", {"n": 1})
