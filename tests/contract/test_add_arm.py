"""Adding an arm to a collection that is there, over every kind of store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.bm25 import AnalyzerConfig
from trivec.errors import CollectionError, InputError, InvalidVectorError, StoreError
from trivec.index.hybrid import binding_of
from trivec.schema import VectorSpec
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS, Point, SparseVector

DENSE = IndexConfig(arms=("dense",), batch_size=4)
CHUNKS = [Chunk(f"passage number {n} of 这本书", id=str(n), source="book") for n in range(10)]
ADDED = ("sparse", "bm25", "colbert")


class RecordingEncoder(FakeEncoder):
    """Remembers what it encoded, and for which heads; fails when it is told to."""

    def __init__(self):
        super().__init__()
        self.texts = []
        self.heads = []
        self.fails_after = None

    def encode_documents(self, texts, *, heads=ALL_HEADS):
        if self.fails_after is not None and len(self.heads) >= self.fails_after:
            raise MemoryError("the machine is small")
        self.texts += texts
        self.heads.append(tuple(heads))
        return super().encode_documents(texts, heads=heads)


@pytest.fixture
def encoder():
    return RecordingEncoder()


@pytest.fixture
def index(location, encoder):
    with HybridIndex.open(**location, encoder=encoder, config=DENSE) as opened:
        opened.add(CHUNKS)
        encoder.texts.clear()
        encoder.heads.clear()
        yield opened


def reopen(index, location, encoder, **more):
    """Open the same place again; the embedded engine lets only one in."""
    if "collection" not in location and not isinstance(location["location"], MemoryStore):
        index.close()
    return HybridIndex.open(**location, encoder=encoder, create=False, **more)


def best(index, arm, text="passage number 7"):
    [hit] = index.search(text, k=1, options=SearchOptions(arms=[arm]))
    return hit.id


def lacking(index, arm):
    name = index.schema.written[arm].name
    return index.count(models.Filter(must_not=[models.HasVectorCondition(has_vector=name)]))


def test_every_arm_is_added_searched_and_kept(location, index, encoder):
    for arm in ADDED:
        with pytest.raises(InputError, match=arm):
            best(index, arm)
        assert index.add_arm(arm) == len(CHUNKS)
        assert best(index, arm) == "7"
        assert index.add_arm(arm) == 0
    assert list(index.schema.vectors) == ["dense", *ADDED]
    with reopen(index, location, encoder) as again:
        assert again.schema == index.schema
        assert [best(again, arm) for arm in ("dense", *ADDED)] == ["7"] * 4
        again.optimize()
        assert [best(again, arm) for arm in ("dense", *ADDED)] == ["7"] * 4
        assert sorted(chunk.id for chunk in again.chunks()) == [chunk.id for chunk in CHUNKS]


def test_an_upgraded_index_equals_one_that_had_the_arms(index, encoder, tmp_path):
    for arm in ADDED:
        index.add_arm(arm)
    config = IndexConfig(arms=("dense", *ADDED))
    with HybridIndex.open(tmp_path / "whole", encoder, config=config) as whole:
        whole.add(CHUNKS)
        assert index.schema.vectors == whole.schema.vectors
        assert index.schema.fingerprint == whole.schema.fingerprint
        options = SearchOptions(fusion="linear", colbert="fuse")
        for text in ("passage number 3", "这本书 8"):
            mine, theirs = (each.search(text, k=10, options=options) for each in (index, whole))
            expected = {hit.id: hit.score for hit in theirs}
            assert {hit.id: hit.score for hit in mine} == pytest.approx(expected, abs=1e-4)


def test_one_forward_for_each_batch_and_for_that_head_alone(index, encoder):
    done = []
    index.add_arm("sparse", progress=done.append)
    assert encoder.heads == [("sparse",)] * 3
    assert sorted(encoder.texts) == sorted(chunk.text for chunk in CHUNKS)
    assert done == [4, 4, 2]
    index.add_arm("bm25")
    assert len(encoder.heads) == 3


@pytest.mark.parametrize("arm", ["sparse", "colbert"])
def test_an_interrupted_upgrade_goes_on_where_it_was(location, index, encoder, arm):
    encoder.fails_after = 2
    with pytest.raises(MemoryError):
        index.add_arm(arm)
    assert lacking(index, arm) == 2
    assert arm not in index.schema.vectors
    with pytest.raises(InputError, match=arm):
        best(index, arm)
    encoder.fails_after = None
    encoder.texts.clear()
    with reopen(index, location, encoder) as again:
        assert list(again.schema.building) == [arm]
        assert again.add_arm(arm) == 2
        assert len(encoder.texts) == 2
        assert not again.schema.building
        assert {best(again, arm, f"passage number {n}") for n in range(10)} == {
            chunk.id for chunk in CHUNKS
        }


def test_what_is_added_meanwhile_gets_the_arm(location, index, encoder):
    encoder.fails_after = 0
    with pytest.raises(MemoryError):
        index.add_arm("sparse")
    encoder.fails_after = None
    with reopen(index, location, encoder) as again:
        again.add([Chunk("a late passage", id="late"), replace(CHUNKS[0], text="zeroth rewritten")])
        assert lacking(again, "sparse") == 9
        encoder.texts.clear()
        assert again.add_arm("sparse") == 9
        assert "a late passage" not in encoder.texts
        assert best(again, "sparse", "a late one") == "late"
        assert best(again, "sparse", "zeroth") == "0"


def test_a_text_that_changes_while_it_is_encoded_keeps_its_own_vector(location):
    """The upgrade read the old text; its vector must not land on the new one."""

    class Meddling(RecordingEncoder):
        index = None

        def encode_documents(self, texts, *, heads=ALL_HEADS):
            if heads == ("sparse",) and self.index is not None:
                index, self.index = self.index, None
                index.add([Chunk("entirely different", id="3", source="book")])
            return super().encode_documents(texts, heads=heads)

    encoder = Meddling()
    with HybridIndex.open(**location, encoder=encoder, config=DENSE) as index:
        index.add(CHUNKS)
        encoder.index = index
        index.add_arm("sparse")
        assert best(index, "sparse", "entirely") == "3"
        [point] = index.store.retrieve([index.point_id("3", "book")], with_vectors=["sparse"])
        [expected] = encoder.encode_documents(["entirely different"])
        assert point.vectors["sparse"] == expected.sparse


def test_points_written_without_the_arm_are_filled_in_later(index):
    index.add_arm("sparse")
    [point] = index.store.retrieve([index.point_id("7", "book")], with_vectors=["dense"])
    index.store.upsert(
        [Point(point.id, point.vectors, point.payload)]
    )  # as another writer would, who knows nothing of the arm
    assert lacking(index, "sparse") == 1
    assert index.add_arm("sparse") == 1
    assert best(index, "sparse") == "7"


def test_a_name_that_is_taken_is_left_alone(encoder):
    client = QdrantClient(":memory:")
    index = HybridIndex.open(client, encoder, collection="kb", config=DENSE)
    index.add(CHUNKS)
    index.store.create_vector(VectorSpec("sparse", "sparse"))
    theirs = models.SparseVector(indices=[5], values=[1.0])
    key = index.point_id("7", "book")
    client.update_vectors("kb", [models.PointVectors(id=key, vector={"sparse": theirs})])
    assert index.add_arm("sparse") == len(CHUNKS)
    assert index.schema.vectors["sparse"].name == "trivec-sparse"
    assert best(index, "sparse") == "7"
    [record] = client.retrieve("kb", [key], with_vectors=True)
    assert record.vector["sparse"] == theirs
    again = HybridIndex.open(client, encoder, collection="kb")
    again.add([Chunk("one more", id="more")])
    [record] = client.retrieve("kb", [again.point_id("more")], with_vectors=True)
    assert set(record.vector) == {"dense", "trivec-sparse"}


def test_points_without_text_get_no_vector(index, caplog):
    key = index.point_id("empty")
    vector = np.ones(64, np.float32)
    index.store.upsert([replace(_point(index, "7"), id=key, vectors={"dense": vector}, payload={})])
    assert index.add_arm("bm25") == len(CHUNKS)
    assert "1 of 11 points got no bm25 vector" in caplog.text
    assert lacking(index, "bm25") == 1


def _point(index, identity):
    from trivec.types import Point

    [stored] = index.store.retrieve([index.point_id(identity, "book")], with_vectors=["dense"])
    return Point(stored.id, stored.vectors, stored.payload)


def test_an_empty_collection_gets_the_arm(location, encoder):
    with HybridIndex.open(**location, encoder=encoder, config=DENSE) as index:
        assert index.add_arm("sparse") == 0
        index.add(CHUNKS)
        assert best(index, "sparse") == "7"


def test_the_analyser_of_a_new_arm_is_remembered(location, encoder):
    config = replace(DENSE, analyzer=AnalyzerConfig(stop_words=("passage",)))
    with HybridIndex.open(**location, encoder=encoder, config=config) as index:
        index.add(CHUNKS)
        index.add_arm("bm25")
        analyzer = index.schema.fingerprint.analyzer
        assert analyzer == config.analyzer.to_json()
        with reopen(index, location, encoder) as again:
            assert again.search("passage", options=SearchOptions(arms=["bm25"])) == []
            assert best(again, "bm25", "number 7") == "7"


def test_a_bad_vector_stops_the_upgrade_before_it_is_written(location):
    class Broken(FakeEncoder):
        def encode_documents(self, texts, *, heads=ALL_HEADS):
            encodings = super().encode_documents(texts, heads=heads)
            if "sparse" not in heads:
                return encodings
            nan = SparseVector(np.array([1], np.uint32), np.array([np.nan], np.float32))
            return [replace(encoding, sparse=nan) for encoding in encodings]

    with HybridIndex.open(**location, encoder=Broken(), config=DENSE) as index:
        index.add(CHUNKS)
        with pytest.raises(InvalidVectorError, match="NaN"):
            index.add_arm("sparse")
        assert lacking(index, "sparse") == len(CHUNKS)


def test_arms_that_cannot_be_added(index):
    with pytest.raises(InputError, match="splade"):
        index.add_arm("splade")
    index.encoder.__class__ = DenseOnly
    with pytest.raises(InputError, match="needs a head"):
        index.add_arm("sparse")


class DenseOnly(RecordingEncoder):
    @property
    def info(self):
        return replace(super().info, heads=("dense",))


def test_every_tenant_is_upgraded(location, encoder):
    red = HybridIndex.open(**location, encoder=encoder, config=DENSE, tenant="red")
    red.add(CHUNKS[:5])
    blue = HybridIndex(replace(binding_of(red), tenant="blue"), DENSE)
    blue.add(CHUNKS[5:])
    assert red.add_arm("sparse") == len(CHUNKS)
    assert best(red, "sparse", "passage number 7") != "7"


def test_asking_for_the_arm_at_opening_says_how_to_get_it(location, index, encoder):
    with pytest.raises(CollectionError, match="add_arm"):
        reopen(index, location, encoder, config=IndexConfig(arms=("dense", "sparse")))


def test_a_server_that_is_too_old_says_so(encoder, monkeypatch):
    from qdrant_client.http.exceptions import UnexpectedResponse

    client = QdrantClient(":memory:")
    index = HybridIndex.open(client, encoder, collection="kb", config=DENSE)

    def unknown(*_arguments, **_options):
        raise UnexpectedResponse(404, "Not Found", b"", {})

    monkeypatch.setattr(client, "create_vector_name", unknown)
    with pytest.raises(StoreError, match=r"1\.18"):
        index.add_arm("sparse")
    assert not index.schema.building
