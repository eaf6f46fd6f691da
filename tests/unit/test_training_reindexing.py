"""An index moved to another model: all of it, at once, and after a kill too."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import CollectionError, CollectionNotFoundError, InputError
from trivec.questions import QuestionIndex
from trivec.testing import FakeEncoder
from trivec.training import reindex
from trivec.training import reindexing as module

CHUNKS = [
    Chunk(f"passage {at} of the sea", id=f"{at}", source=f"s{at % 3}", metadata={"n": at})
    for at in range(12)
]


@pytest.fixture
def place(tmp_path):
    config = IndexConfig(
        arms=("dense", "sparse", "bm25"), codec="langchain", payload_indexes={"n": "integer"}
    )
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(dim=8), config=config) as index:
        index.add(CHUNKS)
        with QuestionIndex.open(index) as questions:
            questions.add({"3": ["where is the third?"]})
            questions.add_feedback("what is it?", "4", "good")
    return tmp_path / "kb"


OTHER = FakeEncoder(dim=16)


class DenseEncoder(FakeEncoder):
    """Has no other head."""

    @property
    def info(self):
        return replace(super().info, heads=("dense",), colbert_dim=None)


def names(folder):
    return sorted(one.name for one in folder.parent.iterdir())


def holds_everything(place, encoder):
    with HybridIndex.open(place, encoder, create=False) as index:
        assert sorted(index.chunks(), key=lambda one: int(str(one.id))) == CHUNKS
        assert index.count({"n": 5}) == 1
        assert set(index.schema.vectors) == {"dense", "sparse", "bm25"}
        assert index.schema.codec == "langchain"
        assert index.search(CHUNKS[7].text, k=1)[0].chunk.id == "7"
        with QuestionIndex.open(index, create=False) as questions:
            assert questions.questions("3") == ["where is the third?"]
            assert questions.count() == 1


def test_everything_moves(place):
    before = names(place)
    seen = []
    found = reindex(place, OTHER, progress=seen.append)
    assert (found.passages, found.encoded, found.questions) == (12, 12, 2)
    assert sum(seen) == 12
    assert names(place) == before
    holds_everything(place, OTHER)


def test_two_renames_do_where_the_system_cannot_exchange(place, monkeypatch):
    monkeypatch.setattr(module, "_exchanged", lambda *_: False)
    reindex(place, OTHER)
    holds_everything(place, OTHER)


def test_a_call_killed_between_two_renames_is_mended(place, monkeypatch):
    place.rename(place.with_name(".kb.before"))
    reindex(place, OTHER)
    holds_everything(place, OTHER)


KILLED = """
import os, sys
from trivec.testing import FakeEncoder
from trivec.training import reindex
seen = 0
class Encoder(FakeEncoder):
    def encode_documents(self, texts, **settings):
        global seen
        seen += 1
        if seen > int(sys.argv[2]):
            os._exit(9)
        return super().encode_documents(texts, **settings)
from trivec.training import reindexing
if sys.argv[2] == "99":
    reindexing._exchange = lambda *_: os._exit(9)
reindex(sys.argv[1], Encoder(dim=16))
"""


@pytest.mark.parametrize("calls", [0, 99])
def test_a_killed_call_leaves_the_old_index_and_the_next_one_goes_on(place, calls):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(calls)], env=os.environ, check=False
    )
    assert ended.returncode == 9
    holds_everything(place, FakeEncoder(dim=8))
    found = reindex(place, OTHER)
    assert found.encoded == (12 if calls == 0 else 0)
    holds_everything(place, OTHER)


def test_what_went_meanwhile_does_not_come_back(place, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_exchange", stop)
        with pytest.raises(KeyboardInterrupt):
            reindex(place, OTHER)
    with HybridIndex.open(place, FakeEncoder(dim=8), create=False) as index:
        index.delete(ids=["2"])
    assert reindex(place, OTHER).passages == 11


def test_what_cannot_be_moved_is_refused(tmp_path, place):
    with pytest.raises(CollectionNotFoundError):
        reindex(tmp_path / "nothing", OTHER)
    with HybridIndex.open(tmp_path / "many", FakeEncoder(dim=8), tenant="a") as index:
        index.add(CHUNKS[:1])
    with pytest.raises(CollectionError, match="tenants"):
        reindex(tmp_path / "many", OTHER)
    with pytest.raises(InputError, match="sparse"):
        reindex(place, DenseEncoder(dim=8))
