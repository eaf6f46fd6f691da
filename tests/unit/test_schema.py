"""What a collection is, who may open it, and which vectors it takes."""

from dataclasses import replace

import numpy as np
import pytest

from trivec.errors import CollectionError, FingerprintMismatchError, InvalidVectorError
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.types import EncoderInfo, Point, SparseVector

INFO = EncoderInfo(model="m", weights="w", dense_dim=3, colbert_dim=3)
SCHEMA = Schema(
    {
        "dense": VectorSpec("dense", "dense", 3),
        "sparse": VectorSpec("sparse", "sparse"),
        "bm25": VectorSpec("bm25", "sparse", idf=True),
        "colbert": VectorSpec("colbert", "multivector", 3),
    },
    Fingerprint(INFO, {"k1": 1.2}),
    {"metadata.lang": "keyword"},
)


def sparse(indices, values):
    return SparseVector(np.array(indices, np.uint32), np.array(values, np.float32))


def test_json_round_trip():
    assert Schema.from_json(SCHEMA.to_json()) == SCHEMA
    adopted = replace(
        SCHEMA,
        vectors={"dense": VectorSpec("", "dense", 3, distance="dot")},
        building={"sparse": VectorSpec("trivec-sparse", "sparse")},
        codec="custom",
        codec_keys={"text_key": "body"},
        integer_ids=True,
    )
    assert Schema.from_json(adopted.to_json()) == adopted


def test_an_arm_that_is_being_added_is_written():
    upgrading = replace(SCHEMA, vectors={}, building=SCHEMA.vectors)
    point = Point(1, {"dense": np.ones(3, np.float32)}, {})
    assert upgrading.invalid([point]) == {}
    assert upgrading.written == SCHEMA.written == SCHEMA.vectors


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.pop("schema_version"), "schema version None"),
        (lambda data: data.update(schema_version=99), "schema version 99"),
        (lambda data: data.pop("vectors"), "damaged"),
        (lambda data: data["fingerprint"]["encoder"].update(odd=1), "damaged"),
        (lambda data: data.update(fingerprint="x"), "damaged"),
    ],
)
def test_a_damaged_description_is_an_error(damage, message):
    data = SCHEMA.to_json()
    damage(data)
    with pytest.raises(CollectionError, match=message):
        Schema.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "other"},
        {"pooling": "mean"},
        {"max_length": 512},
        {"precision": "int8"},
        {"query_instruction": "query: "},
        {"tokenizer": "t"},
    ],
)
def test_another_writer_is_refused_and_both_sides_are_printed(change):
    mine = Fingerprint(replace(INFO, **change), {"k1": 1.2})
    [(name, value)] = change.items()
    with pytest.raises(FingerprintMismatchError, match=f"{name}: there .*, here {value!r}"):
        SCHEMA.require_same_writer(mine, "the folder")


def test_the_analyser_counts_too():
    with pytest.raises(FingerprintMismatchError, match=r"analyzer\.k1: there 1.2, here 2.0"):
        SCHEMA.require_same_writer(Fingerprint(INFO, {"k1": 2.0}), "the folder")


def test_a_moved_model_folder_is_the_same_model():
    SCHEMA.require_same_writer(Fingerprint(replace(INFO, model="/elsewhere")), "the folder")


def test_a_foreign_collection_must_be_adopted():
    with pytest.raises(FingerprintMismatchError, match="adopt=True"):
        replace(SCHEMA, fingerprint=None).require_same_writer(Fingerprint(INFO), "it")


GOOD = {
    "dense": np.ones(3, np.float32),
    "sparse": sparse([1, 5], [0.5, 0.1]),
    "colbert": np.ones((2, 3), np.float32),
}


def test_good_vectors_pass():
    assert SCHEMA.invalid([Point(1, GOOD, {}), Point(2, {"sparse": sparse([], [])}, {})]) == {}


@pytest.mark.parametrize(
    ("name", "vector", "reason"),
    [
        ("dense", np.array([1, np.nan, 0], np.float32), "NaN"),
        ("dense", np.array([1, np.inf, 0], np.float32), "infinity"),
        ("dense", np.zeros(3, np.float32), "zero"),
        ("dense", np.full(3, 3e38, np.float32), "cannot be brought to 1"),
        ("dense", np.full(3, 1e-30, np.float32), "cannot be brought to 1"),
        ("colbert", np.full((2, 3), 3e38, np.float32), "cannot be brought to 1"),
        ("dense", np.ones(4, np.float32), r"shape \(4,\)"),
        ("dense", np.ones((1, 3), np.float32), r"shape \(1, 3\)"),
        ("dense", sparse([1], [1]), "is sparse"),
        ("sparse", sparse([1, 1], [1, 2]), "repeated"),
        ("sparse", sparse([2, 1], [1, 2]), "unsorted"),
        ("sparse", sparse([1], [np.nan]), "NaN"),
        ("sparse", sparse([1, 2], [1]), "2 indices and 1 values"),
        ("sparse", np.ones(3, np.float32), "shape"),
        ("colbert", np.array([[1, 0, 0], [0, 0, 0]], np.float32), "zero row"),
        ("colbert", np.empty((0, 3), np.float32), "0 floats"),
        ("colbert", np.ones((350_000, 3), np.float32), "1050000 floats"),
        ("other", np.ones(3, np.float32), "has no place here"),
    ],
)
def test_bad_vectors_are_named(name, vector, reason):
    bad = Point(7, {**GOOD, name: vector}, {})
    assert list(SCHEMA.invalid([Point(1, GOOD, {}), bad])) == [7]
    with pytest.raises(InvalidVectorError, match=f"1 of 2 points refused: 7: .*{reason}"):
        SCHEMA.require_valid([Point(1, GOOD, {}), bad])
