"""Vectors that cannot be stored, heads that an encoder left out: never stored as whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import InvalidVectorError
from trivec.index.hybrid import binding_of
from trivec.query import Prefetch, StoreQuery
from trivec.testing import FakeEncoder
from trivec.types import ALL_HEADS, Point, SparseVector

ALL_ARMS = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"), batch_size=4)
CHUNKS = [Chunk(f"a red car number {n}", id=str(n)) for n in range(6)]


class Spoiled(FakeEncoder):
    """Encodes as its parent does, then spoils the third text of each call."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil
        self.encoded = 0

    def encode_documents(self, texts, *, heads=ALL_HEADS):
        self.encoded += len(texts)
        encodings = super().encode_documents(texts, heads=heads)
        return [self.spoil(one) if at == 2 else one for at, one in enumerate(encodings)]


def with_dense(change):
    return lambda one: replace(one, dense=change(one.dense.astype(np.float64)))


def with_rows(change):
    return lambda one: replace(one, colbert=change(one.colbert.astype(np.float64)))


def with_weights(change):
    return lambda one: replace(
        one, sparse=SparseVector(one.sparse.indices, change(one.sparse.values.astype(np.float64)))
    )


def one_row(rows, value):
    rows[0] = value
    return rows


SPOILED = {
    "dense overflows": with_dense(lambda vector: vector * 1e300),
    "dense vanishes": with_dense(lambda vector: vector * 1e-300),
    "dense too long for a norm": with_dense(lambda vector: vector * 1e30),
    "dense too short for a norm": with_dense(lambda vector: vector * 1e-30),
    "dense infinite": with_dense(lambda vector: vector * np.inf),
    "dense of halves": with_dense(lambda vector: (vector * 0 + 1e-9).astype(np.float16)),
    "dense empty": with_dense(lambda vector: vector[:0]),
    "rows overflow": with_rows(lambda rows: rows * 1e39),
    "a row vanishes": with_rows(lambda rows: one_row(rows, 1e-60)),
    "a row too long": with_rows(lambda rows: one_row(rows, 1e25)),
    "weights overflow": with_weights(lambda values: values * 1e39),
    "weights vanish": with_weights(lambda values: values * 1e-60),
    "dense left out": lambda one: replace(one, dense=None),
    "sparse left out": lambda one: replace(one, sparse=None),
    "rows left out": lambda one: replace(one, colbert=None),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_cannot_be_stored_is_refused_and_a_good_encoder_mends_it(location, spoil):
    with HybridIndex.open(**location, encoder=Spoiled(spoil), config=ALL_ARMS) as index:
        report = index.add(CHUNKS)
        assert [one.id for one in report.refused] == ["2"]
        assert (report.added, index.count()) == (5, 5)
        mended = index.with_encoder(FakeEncoder()).add(CHUNKS)
        assert (mended.added, mended.skipped, mended.refused) == (1, 5, ())


def test_a_point_that_lacks_an_arm_is_encoded_again_and_no_other(location):
    """However it came to lack it: written by another program, lost to damage."""
    encoder = Spoiled(lambda one: one)
    with HybridIndex.open(**location, encoder=encoder, config=ALL_ARMS) as index:
        index.add(CHUNKS)
        binding = binding_of(index)
        names = ["dense", "sparse", "bm25", "colbert"]
        keys = [binding.point_id(chunk.id) for chunk in CHUNKS]
        for key, lost in zip(keys, names, strict=False):
            [point] = index.store.retrieve([key], with_vectors=names)
            kept = {name: each for name, each in point.vectors.items() if name != lost}
            index.store.upsert([Point(key, kept, point.payload)])
        encoder.encoded = 0
        report = index.add(CHUNKS)
        assert (report.updated, report.skipped, encoder.encoded) == (4, 2, 4)
        whole = index.store.retrieve(keys, with_vectors=names)
        assert all(set(point.vectors) == set(names) for point in whole)
        assert index.add(CHUNKS).skipped == 6


def test_what_is_empty_by_right_is_not_encoded_again(location):
    """No token that weighs anything, no word for BM25, metadata that changes meanwhile."""
    nothing = SparseVector(np.array([], np.uint32), np.array([], np.float32))
    encoder = Spoiled(lambda one: replace(one, sparse=nothing))
    chunks = [*CHUNKS[:2], Chunk("!!!", id="signs"), CHUNKS[3]]
    with HybridIndex.open(**location, encoder=encoder, config=ALL_ARMS) as index:
        assert index.add(chunks).added == 4
        changed = [replace(chunk, metadata={"n": 1}) for chunk in chunks]
        assert index.add(changed).updated == 4
        assert index.add(changed).skipped == 4
        assert encoder.encoded == 4


def test_every_store_checks_after_the_last_cast(store, points):
    point = points[0]
    for name, change in {
        "dense": lambda vector: vector.astype(np.float64) * 1e300,
        "colbert": lambda rows: rows.astype(np.float64) * 1e-300,
        "sparse": lambda one: SparseVector(one.indices, one.values.astype(np.float64) * 1e300),
        "bm25": lambda one: SparseVector(one.indices.astype(np.int64) + 2**32, one.values),
    }.items():
        spoiled = {**point.vectors, name: change(point.vectors[name])}
        with pytest.raises(InvalidVectorError, match=name):
            store.upsert([Point(1, spoiled, {})])
    with pytest.raises(InvalidVectorError, match="list"):
        store.upsert([Point(1, {"dense": [1.0] * 16}, {})])
    assert store.count() == 0


def test_the_shortest_and_longest_vectors_that_are_taken_are_found(store):
    """Where the engine cannot scale a vector to unit length, its scores are wrong, in silence."""
    vector = np.zeros(16)
    vector[:2] = 3, 4
    for identity, scale in enumerate((1e-4, 1e-3, 1.0, 1e17), start=1):
        store.upsert([Point(identity, {"dense": vector * scale}, {})])
    [found] = store.query([StoreQuery((Prefetch("dense", vector.astype(np.float32), 9),), 9)])
    assert [point.score for point in found] == pytest.approx([1, 1, 1, 1], abs=1e-5)
