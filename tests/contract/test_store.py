"""What every store does: one suite over the embedded engine, both local modes, and the fake."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from itertools import count as counting

import numpy as np
import pytest
from qdrant_client import models
from tests.contract.conftest import DIM

from trivec.errors import (
    CollectionError,
    CollectionNotFoundError,
    InputError,
    InvalidVectorError,
    StoreError,
)
from trivec.fusion import Dbsf, Linear, Rrf
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.types import Point, SparseVector

ARMS = ("dense", "sparse", "bm25")
UUID_7 = uuid.UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")


def only(key, value):
    return models.Filter(
        must=[models.FieldCondition(key=key, match=models.MatchValue(value=value))]
    )


ZH = only("metadata.lang", "zh")
NO_SPARSE = models.Filter(must_not=[models.HasVectorCondition(has_vector="sparse")])


def ids(found):
    return [point.id for point in found]


def prefetches(vectors, *arms, limit=20):
    return tuple(Prefetch(arm, vectors[arm], limit) for arm in arms)


def search(store, query):
    (found,) = store.query([query])
    return found


def unit(vector):
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def exact_scores(points, arm, vector):
    """Score every point by the textbook, best first; what does not match is left out."""
    having = [point for point in points if arm in point.vectors]
    if isinstance(vector, SparseVector):
        frequency = {
            index: sum(index in point.vectors[arm].to_mapping() for point in having)
            for index in vector.indices.tolist()
        }
        idf = {
            index: np.log((len(having) - count + 0.5) / (count + 0.5) + 1) if arm == "bm25" else 1
            for index, count in frequency.items()
        }
        weighted = {index: value * idf[index] for index, value in vector.to_mapping().items()}
        scores = {
            point.id: sum(
                weighted[index] * value
                for index, value in point.vectors[arm].to_mapping().items()
                if index in weighted
            )
            for point in having
            if set(point.vectors[arm].to_mapping()) & set(weighted)
        }
    elif arm == "colbert":
        scores = {
            point.id: float((unit(vector) @ unit(point.vectors[arm]).T).max(axis=1).sum())
            for point in having
        }
    else:
        scores = {point.id: float(unit(vector) @ unit(point.vectors[arm])) for point in having}
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def assert_found(found, expected, limit=10):
    """Compare ids in order and scores with ``{id: score}``, best first."""
    expected = dict(sorted(expected.items(), key=lambda item: -item[1])[:limit])
    assert ids(found) == list(expected)
    assert [point.score for point in found] == pytest.approx(list(expected.values()), abs=1e-4)


# Creating and opening


def test_nothing_is_there_before_create(place):
    with place.open() as store:
        assert store.schema is None
        with pytest.raises(CollectionNotFoundError):
            store.count()
        with pytest.raises(CollectionNotFoundError):
            store.upsert([])


def test_create_keeps_the_schema(store, schema):
    assert store.schema == schema
    assert store.count() == 0


def test_create_refuses_a_second_time(store, schema, points):
    store.upsert(points[:3])
    with pytest.raises(CollectionError, match="already"):
        store.create(schema)
    assert store.count() == 3


def test_an_unknown_payload_index_leaves_nothing_behind(place, schema):
    if place.name == "fake":
        pytest.skip("the fake has no payload indexes")
    with place.open() as store:
        with pytest.raises(InputError, match=r"fancy.*keyword"):
            store.create(replace(schema, payload_indexes={"a": "fancy"}))
        assert store.schema is None


def test_reopening_finds_everything(place, schema, points, query_vectors):
    if not place.persistent:
        pytest.skip("keeps nothing")
    query = StoreQuery(prefetches(query_vectors[0], *ARMS), 10, Rrf(61, (1.0, 1.0, 1.0)))
    with place.open() as store:
        store.create(schema)
        store.upsert(points)
        before = search(store, query)
    with place.open() as store:
        assert store.schema == schema
        assert store.count() == len(points)
        assert ids(search(store, query)) == ids(before)


def test_use_after_close(place, schema):
    with place.open() as store:
        store.create(schema)
        store.close()
        store.close()  # closing twice is fine
        with pytest.raises(StoreError, match="closed"):
            store.count()


# Writing


def test_points_come_back_as_they_were(store, points):
    store.upsert(points)
    found = {
        point.id: point for point in store.retrieve([1, 5, 7, 999], with_vectors=(*ARMS, "colbert"))
    }
    assert set(found) == {1, 5, 7}
    for identity, point in found.items():
        original = points[identity - 1]
        assert point.payload == original.payload
        assert set(point.vectors) == set(original.vectors)
        for name, vector in point.vectors.items():
            if isinstance(vector, SparseVector):
                np.testing.assert_array_equal(vector.indices, original.vectors[name].indices)
                np.testing.assert_allclose(vector.values, original.vectors[name].values, rtol=1e-6)
            else:
                assert vector.dtype == np.float32
                np.testing.assert_allclose(vector, unit(original.vectors[name]), atol=1e-6)


def test_vectors_come_only_when_asked_for(store, points):
    store.upsert(points[:2])
    assert all(not point.vectors for point in store.retrieve([1, 2]))
    assert all(set(p.vectors) == {"dense"} for p in store.retrieve([1, 2], with_vectors=["dense"]))


def test_upsert_replaces_the_whole_point(store, points):
    store.upsert(points[:3])
    store.upsert([Point(1, {"dense": points[1].vectors["dense"]}, {"new": True})])
    (point,) = store.retrieve([1], with_vectors=(*ARMS, "colbert"))
    assert (point.payload, set(point.vectors)) == ({"new": True}, {"dense"})
    assert store.count() == 3


def test_upsert_of_nothing_writes_nothing(store):
    store.upsert([])
    assert store.count() == 0


def test_uuids_stay_text_and_integers_stay_integers(store, points):
    first = str(uuid.UUID(int=5))
    vectors = points[0].vectors
    store.upsert([Point(first, vectors, {}), Point(2**63 + 1, vectors, {})])
    page, _ = store.scroll()
    assert {(type(point.id), point.id) for point in page} == {(str, first), (int, 2**63 + 1)}
    assert ids(store.retrieve([first])) == [first]


@pytest.mark.parametrize(
    ("name", "vector"),
    [
        ("dense", np.full(16, np.nan, dtype=np.float32)),
        ("dense", np.full(16, np.inf, dtype=np.float32)),
        ("dense", np.zeros(16, dtype=np.float32)),
        ("dense", np.ones(15, dtype=np.float32)),
        ("colbert", np.zeros((2, 8), dtype=np.float32)),
        ("colbert", np.ones((0, 8), dtype=np.float32)),
        ("sparse", SparseVector(np.array([3, 3], "u4"), np.array([1, 2], "f4"))),
        ("sparse", SparseVector(np.array([3, 4], "u4"), np.array([1, np.nan], "f4"))),
        ("unheard", np.ones(16, dtype=np.float32)),
    ],
    ids=["nan", "inf", "zero", "width", "zero-row", "no-rows", "duplicate", "sparse-nan", "name"],
)
def test_a_bad_vector_is_refused_before_anything_is_written(store, points, name, vector):
    bad = Point(99, {name: vector}, {})
    with pytest.raises(InvalidVectorError, match="99"):
        store.upsert([*points[:5], bad])
    assert store.count() == 0


def test_overwrite_payload_leaves_the_vectors(store, points):
    store.upsert(points[:4])
    store.overwrite_payload({1: {"text": "new"}, 3: {}})
    found = {point.id: point for point in store.retrieve([1, 2, 3], with_vectors=["dense"])}
    assert [found[identity].payload for identity in (1, 2, 3)] == [
        {"text": "new"},
        points[1].payload,
        {},
    ]
    np.testing.assert_allclose(
        found[1].vectors["dense"], unit(points[0].vectors["dense"]), atol=1e-6
    )


def test_overwrite_payload_of_a_missing_point(store, points):
    store.upsert(points[:1])
    with pytest.raises(StoreError):
        store.overwrite_payload({1000: {"a": 1}})
    assert store.count() == 1


def test_updating_vectors_leaves_the_rest(store, points):
    store.upsert(points[:10])
    fresh = SparseVector(np.array([3, 90], np.uint32), np.array([1.5, 2.5], np.float32))
    store.update_vectors({1: {"sparse": fresh}, 5: {"sparse": fresh}})  # 5 had none
    found = {point.id: point for point in store.retrieve([1, 5], with_vectors=[*ARMS, "colbert"])}
    for number in (1, 5):
        before = points[number - 1]
        assert found[number].vectors.keys() == {*before.vectors, "sparse"}
        assert found[number].vectors["sparse"] == fresh
        assert found[number].vectors["bm25"] == before.vectors["bm25"]
        assert found[number].payload == before.payload
    query = StoreQuery((Prefetch("sparse", SparseVector.from_mapping({90: 1.0}), 5),), 5)
    assert sorted(ids(search(store, query))) == [1, 5]


def test_updating_vectors_only_where_a_filter_matches(store, points):
    store.upsert(points[:10])
    fresh = SparseVector(np.array([90], np.uint32), np.array([1.0], np.float32))
    store.update_vectors({number: {"sparse": fresh} for number in range(1, 11)}, where=NO_SPARSE)
    query = StoreQuery((Prefetch("sparse", fresh, 20),), 20)
    assert sorted(ids(search(store, query))) == [5, 10]
    assert store.count(NO_SPARSE) == 0


def test_updating_the_vectors_of_a_missing_point(store, points):
    store.upsert(points[:2])
    fresh = SparseVector(np.array([90], np.uint32), np.array([1.0], np.float32))
    with pytest.raises(StoreError):
        store.update_vectors({99: {"sparse": fresh}, 2: {"sparse": fresh}})
    assert store.retrieve([2], with_vectors=["sparse"])[0].vectors["sparse"] == fresh
    assert store.count() == 2
    store.update_vectors({})


def test_a_bad_vector_is_not_updated(store, points):
    store.upsert(points[:2])
    with pytest.raises(InvalidVectorError, match="NaN"):
        store.update_vectors({1: {"dense": np.full(16, np.nan, np.float32)}})
    with pytest.raises(InvalidVectorError, match="no place here"):
        store.update_vectors({1: {"other": np.ones(16, np.float32)}})


ADDED = {
    "learned": VectorSpec("learned", "sparse"),
    "weighted": VectorSpec("weighted", "sparse", idf=True),
    "late": VectorSpec("late", "multivector", 3),
    "second": VectorSpec("second", "dense", 5),
}


def test_vectors_are_added_to_points_that_are_there(place, schema, points):
    """Created, described, filled, searched; and after opening again."""
    slim = replace(schema, vectors={"dense": schema.vectors["dense"]})
    vectors = {
        "learned": SparseVector(np.array([7], np.uint32), np.array([2.0], np.float32)),
        "weighted": SparseVector(np.array([7], np.uint32), np.array([2.0], np.float32)),
        "late": np.eye(3, dtype=np.float32)[:2],
        "second": np.arange(1, 6, dtype=np.float32),
    }

    def assert_searchable(store):
        for name, vector in vectors.items():
            query = StoreQuery((Prefetch(name, vector, 5),), 5)
            assert ids(search(store, query)) == [2], name
        assert len(
            search(store, StoreQuery((Prefetch("dense", points[0].vectors["dense"], 9),), 9))
        )

    with place.open() as store:
        store.create(slim)
        only_dense = [replace(p, vectors={"dense": p.vectors["dense"]}) for p in points[:3]]
        store.upsert(only_dense)
        store.optimize()
        for _ in range(2):  # a second time changes nothing
            for spec in ADDED.values():
                store.create_vector(spec)
        store.describe(replace(slim, vectors=slim.vectors | ADDED))
        assert dict(store.vectors()) == {"dense": slim.vectors["dense"], **ADDED}
        store.update_vectors({2: vectors})
        assert_searchable(store)
        with pytest.raises(StoreError):
            store.create_vector(VectorSpec("learned", "sparse", idf=True))
        store.optimize()
        assert_searchable(store)
    if place.persistent:
        with place.open() as store:
            assert store.schema == replace(slim, vectors=slim.vectors | ADDED)
            assert_searchable(store)
            store.upsert([replace(points[4], vectors=vectors)])
            store.optimize()
            assert store.count() == 4


@pytest.mark.parametrize("name", sorted(ADDED))
def test_a_vector_that_was_added_but_never_described_does_no_harm(place, schema, points, name):
    """What a crash between the two leaves behind."""
    if not place.persistent:
        pytest.skip("keeps nothing")
    with place.open() as store:
        store.create(schema)
        store.upsert(points[:3])
        store.create_vector(ADDED[name])
    with place.open() as store:
        assert store.count() == 3
        store.create_vector(ADDED[name])
        store.describe(replace(schema, vectors={**schema.vectors, name: ADDED[name]}))
        store.upsert(points[3:5])
    with place.open() as store:
        assert store.count() == 5


def test_describing_replaces_the_description(place, schema, points):
    with place.open() as store:
        store.create(schema)
        store.upsert(points[:3])
        other = replace(schema, codec="langchain", fingerprint=None)
        store.describe(other)
        assert store.schema == other
        assert store.count() == 3
    if place.persistent:
        with place.open() as store:
            assert store.schema == other


def test_any_json_payload_comes_back(store, points):
    payload = {
        "text": "你好 🙂 \u0000",
        "nested": {"list": [1, 2.5, None, True, "x"], "empty": {}},
        "big": 2**53,
        "negative": -3,
    }
    store.upsert([Point(1, points[0].vectors, payload)])
    assert store.retrieve([1])[0].payload == payload


# Reading


@pytest.mark.parametrize("limit", [1, 7, 60, 100])
def test_scrolling_covers_everything_once_in_order(store, points, limit):
    mixed = [
        replace(
            point,
            id=point.id if point.id % 2 else str(uuid.uuid5(uuid.NAMESPACE_OID, str(point.id))),
        )
        for point in points
    ]
    store.upsert(mixed)
    seen, offset = [], None
    while True:
        page, offset = store.scroll(limit=limit, offset=offset)
        seen += ids(page)
        if offset is None:
            break
        assert len(page) == limit
    numbers = sorted(point.id for point in mixed if isinstance(point.id, int))
    texts = sorted(point.id for point in mixed if isinstance(point.id, str))
    assert seen == numbers + texts


def test_scrolling_with_a_filter(store, points):
    store.upsert(points)
    first, offset = store.scroll(filter=ZH, limit=20)
    second, end = store.scroll(filter=ZH, limit=20, offset=offset)
    assert ids(first + second) == list(range(1, 61, 2))
    assert end is None


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_holds_at_least_one(store, limit):
    with pytest.raises(InputError):
        store.scroll(limit=limit)


def test_counting(store, points):
    store.upsert(points)
    assert store.count() == 60
    assert store.count(ZH) == 30
    assert store.count(only("metadata.lang", "fr")) == 0


def test_deleting_by_ids(store, points):
    store.upsert(points)
    store.delete(ids=[1, 2, 3, 12345])
    store.delete(ids=[])
    assert store.count() == 57
    assert store.retrieve([1, 2, 3]) == []


def test_deleting_by_filter(store, points):
    store.upsert(points)
    store.delete(filter=ZH)
    assert store.count() == 30
    assert store.count(ZH) == 0


def by_id(store, key):
    """Return everything that takes a point's id, with this one."""
    dense = np.ones(store.schema.vectors["dense"].size, np.float32)
    return {
        "retrieve": lambda: store.retrieve([key]),
        "scroll": lambda: store.scroll(offset=key),
        "delete": lambda: store.delete(ids=[key]),
        "overwrite_payload": lambda: store.overwrite_payload({key: {"text": "b"}}),
        "update_vectors": lambda: store.update_vectors({key: {"dense": dense}}),
        "upsert": lambda: store.upsert([Point(key, {"dense": dense}, {})]),
    }


@pytest.mark.parametrize("name", ["upsert", "overwrite_payload", "update_vectors", "delete"])
@pytest.mark.parametrize(
    "dress",
    [np.int64(7), np.uint8(7), str(UUID_7).upper(), UUID_7.hex, f"{{{UUID_7}}}", UUID_7.urn],
    ids=repr,
)
def test_an_id_in_another_dress_is_that_id(store, name, dress):
    key = 7 if isinstance(dress, np.integer) else str(UUID_7)
    store.upsert(
        [
            Point(
                key,
                {"dense": np.ones(store.schema.vectors["dense"].size, np.float32)},
                {"text": "a"},
            )
        ]
    )
    by_id(store, dress)[name]()
    assert store.count() == (0 if name == "delete" else 1)
    assert (
        ids(store.retrieve([dress]))
        == ids(store.scroll(offset=dress)[0])
        == ids(store.retrieve([key]))
    )


@pytest.mark.parametrize(
    "key",
    [-1, 2**64, np.int64(-1), "", "1", "x", " " + str(UUID_7), " " + 31 * "a", "\0", "\ud800"],
    ids=repr,
)
def test_what_is_no_id_is_refused_by_everything(store, points, key):
    store.upsert(points)
    before = store.count()
    for call in by_id(store, key).values():
        with pytest.raises(StoreError):
            call()
    assert store.count() == before


@pytest.mark.parametrize("arguments", [{}, {"ids": [1], "filter": ZH}])
def test_deleting_takes_exactly_one_selection(store, arguments):
    with pytest.raises(InputError, match="exactly one"):
        store.delete(**arguments)


# Searching


@pytest.mark.parametrize("arm", [*ARMS, "colbert"])
def test_one_arm_scores_exactly(store, points, query_vectors, arm):
    store.upsert(points)
    for vectors in query_vectors[:4]:
        found = search(store, StoreQuery(prefetches(vectors, arm), 10, exact=True))
        assert_found(found, exact_scores(points, arm, vectors[arm]))
        assert all(point.payload == points[point.id - 1].payload for point in found)


def test_reciprocal_rank_fusion_with_weights(store, points, query_vectors):
    store.upsert(points)
    vectors, weights = query_vectors[1], (1.0, 0.5, 3.0)
    expected = {}
    for arm, weight in zip(ARMS, weights, strict=True):
        ranking = list(exact_scores(points, arm, vectors[arm]))[:20]
        for rank, identity in enumerate(ranking):
            expected[identity] = expected.get(identity, 0) + 1 / (9 + (rank + 1) / weight)
    found = search(store, StoreQuery(prefetches(vectors, *ARMS), 10, Rrf(10, weights)))
    assert_found(found, expected)


def test_distribution_based_fusion(store, points, query_vectors):
    store.upsert(points)
    vectors = query_vectors[2]
    expected = {}
    for arm in ARMS:
        top = dict(list(exact_scores(points, arm, vectors[arm]).items())[:20])
        mean, sigma = np.mean(list(top.values())), np.std(list(top.values()), ddof=1)
        for identity, score in top.items():
            scaled = (score - mean + 3 * sigma) / (6 * sigma)
            expected[identity] = expected.get(identity, 0) + scaled
    found = search(store, StoreQuery(prefetches(vectors, *ARMS), 10, Dbsf()))
    assert_found(found, expected)


def test_linear_fusion_scores_every_candidate_in_every_arm(store, points, query_vectors):
    store.upsert(points)
    vectors, weights = query_vectors[3], (1.0, 0.3, 0.7)
    scores = {arm: exact_scores(points, arm, vectors[arm]) for arm in ARMS}
    candidates = {identity for arm in ARMS for identity in list(scores[arm])[:5]}
    expected = {
        identity: sum(
            weight * scores[arm].get(identity, 0) for arm, weight in zip(ARMS, weights, strict=True)
        )
        for identity in candidates
    }
    assert len(candidates) > 5
    found = search(store, StoreQuery(prefetches(vectors, *ARMS, limit=5), 15, Linear(weights)))
    assert_found(found, expected, limit=15)


def test_rescoring_orders_the_candidates_alone(store, points, query_vectors):
    store.upsert(points)
    vectors = query_vectors[4]
    candidates = {
        identity
        for arm in ("dense", "sparse")
        for identity in list(exact_scores(points, arm, vectors[arm]))[:8]
    }
    scores = exact_scores(points, "colbert", vectors["colbert"])
    expected = {identity: scores[identity] for identity in candidates}
    query = StoreQuery(
        prefetches(vectors, "dense", "sparse", limit=8),
        10,
        rescore=("colbert", vectors["colbert"]),
    )
    assert_found(search(store, query), expected)


def test_a_prefetch_over_the_candidates_of_the_others(store, points, query_vectors):
    store.upsert(points)
    vectors = query_vectors[5]
    rankings = [list(exact_scores(points, arm, vectors[arm]))[:8] for arm in ("dense", "bm25")]
    scores = exact_scores(points, "colbert", vectors["colbert"])
    union = set().union(*rankings)
    rankings.append(sorted(union, key=lambda identity: -scores[identity])[:6])
    expected = {}
    for ranking in rankings:
        for rank, identity in enumerate(ranking):
            expected[identity] = expected.get(identity, 0) + 1 / (60 + rank + 1)
    query = StoreQuery(
        (
            *prefetches(vectors, "dense", "bm25", limit=8),
            Prefetch("colbert", vectors["colbert"], 6, over_candidates=True),
        ),
        5,
        Rrf(61, (1.0, 1.0, 1.0)),
    )
    found = search(store, query)
    # ranks tie easily: the scores decide, and each id must carry its own
    assert [point.score for point in found] == pytest.approx(
        sorted(expected.values(), reverse=True)[:5], abs=1e-4
    )
    assert all(point.score == pytest.approx(expected[point.id], abs=1e-4) for point in found)


@pytest.mark.parametrize("shape", ["plain", "rrf", "dbsf", "linear", "rescore", "over_candidates"])
def test_the_filter_reaches_every_prefetch(store, points, query_vectors, shape):
    """A limit of 5 is filled with points that pass, although most better ones do not."""
    store.upsert(points)
    vectors = query_vectors[6]
    best = list(exact_scores(points, "dense", vectors["dense"]))
    keep = models.Filter(must_not=[models.HasIdCondition(has_id=best[:25])])
    over = Prefetch("colbert", vectors["colbert"], 5, over_candidates=True)
    plain = prefetches(vectors, "dense", "bm25", limit=5)
    queries = {
        "plain": StoreQuery(plain[:1], 5),
        "rrf": StoreQuery(plain, 5, Rrf(61, (1.0, 1.0))),
        "dbsf": StoreQuery(plain, 5, Dbsf()),
        "linear": StoreQuery(plain, 5, Linear((1.0, 0.0))),
        "rescore": StoreQuery(plain[:1], 5, rescore=("colbert", vectors["colbert"])),
        "over_candidates": StoreQuery((*plain, over), 5, Rrf(61, (1.0, 1.0, 1.0))),
    }
    found = search(store, replace(queries[shape], filter=keep))
    assert len(found) == 5
    assert not set(ids(found)) & set(best[:25])
    if shape in ("plain", "linear", "rescore"):
        assert set(ids(found)) <= set(best[25:30]) or shape == "linear"
    if shape == "plain":
        assert ids(found) == best[25:30]


@pytest.mark.parametrize("fusion", [None, Rrf(61, (1.0, 1.0)), Dbsf(), Linear((1.0, 1.0))])
def test_paging_by_offset(store, points, query_vectors, fusion):
    store.upsert(points)
    arms = ("dense",) if fusion is None else ("dense", "bm25")
    query = StoreQuery(prefetches(query_vectors[7], *arms), 12, fusion)
    whole = search(store, query)
    paged = [search(store, replace(query, limit=4, offset=offset)) for offset in (0, 4, 8)]
    scores = [point.score for page in paged for point in page]
    assert scores == pytest.approx([point.score for point in whole])
    if not isinstance(fusion, Rrf):  # ranks tie
        assert [identity for page in paged for identity in ids(page)] == ids(whole)


def test_the_threshold_is_the_least_score(store, points, query_vectors):
    store.upsert(points)
    vector = query_vectors[8]["dense"]
    whole = search(store, StoreQuery((Prefetch("dense", vector, 20),), 20))
    least = whole[4].score
    prefetch = Prefetch("dense", vector, 20, threshold=least)
    assert ids(search(store, StoreQuery((prefetch,), 20))) == ids(whole[:5])
    fused = search(store, StoreQuery((prefetch, prefetch), 20, Rrf(61, (1.0, 1.0))))
    assert ids(fused) == ids(whole[:5])


def test_results_carry_the_vectors_asked_for(store, points, query_vectors):
    store.upsert(points)
    for fusion in (Rrf(61, (1.0, 1.0)), Linear((1.0, 1.0))):
        query = StoreQuery(
            prefetches(query_vectors[9], "sparse", "bm25"), 5, fusion, with_vectors=("dense",)
        )
        for point in search(store, query):
            assert set(point.vectors) == {"dense"} & set(points[point.id - 1].vectors)


def test_several_queries_keep_their_order(store, points, query_vectors):
    store.upsert(points)
    queries = [StoreQuery(prefetches(vectors, "dense"), 3) for vectors in query_vectors]
    together = store.query(queries)
    assert [ids(found) for found in together] == [ids(search(store, query)) for query in queries]
    assert store.query([]) == []


@pytest.mark.parametrize("limit", [0, 60, 1000])
def test_a_limit_of_none_and_of_more_than_there_are(store, points, query_vectors, limit):
    store.upsert(points)
    for fusion in (None, Rrf(61, (1.0,)), Dbsf(), Linear((1.0,))):
        query = StoreQuery(prefetches(query_vectors[0], "dense", limit=1000), limit, fusion)
        assert len(search(store, query)) == min(limit, 52)  # the points that have the vector
        assert search(store, replace(query, offset=100)) == []


def test_searching_an_empty_collection(store, query_vectors):
    vectors = query_vectors[0]
    plain = prefetches(vectors, *ARMS)
    for query in (
        StoreQuery(plain[:1], 5),
        StoreQuery(plain, 5, Rrf(61, (1.0, 1.0, 1.0))),
        StoreQuery(plain, 5, Dbsf()),
        StoreQuery(plain, 5, Linear((1.0, 1.0, 1.0))),
        StoreQuery(plain, 5, rescore=("colbert", vectors["colbert"])),
    ):
        assert search(store, query) == []


def test_a_sparse_query_without_a_match(store, points):
    store.upsert(points)
    nowhere = SparseVector.from_mapping({100_000: 1.0})
    for arm in ("sparse", "bm25"):
        assert search(store, StoreQuery((Prefetch(arm, nowhere, 5),), 5)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"prefetches": ()},
        {"limit": -1},
        {"offset": -1},
        {"fusion": None},
        {"fusion": Rrf(61, (1.0,))},
        {"fusion": Linear((1.0, 1.0, 1.0))},
        {"rescore": ("colbert", np.ones((1, 8), dtype=np.float32))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_query_that_makes_no_sense(store, points, query_vectors, change):
    store.upsert(points[:5])
    query = StoreQuery(prefetches(query_vectors[0], "dense", "bm25"), 5, Rrf(61, (1.0, 1.0)))
    with pytest.raises(InputError):
        store.query([replace(query, **change)])


def test_optimising_changes_no_result(store, points, query_vectors):
    store.upsert(points)
    query = StoreQuery(prefetches(query_vectors[1], *ARMS), 10, Dbsf())
    before = search(store, query)
    store.optimize()
    after = search(store, query)
    assert ids(after) == ids(before)
    assert [point.score for point in after] == pytest.approx([point.score for point in before])


def test_threads_share_a_store(store, points, query_vectors):
    store.upsert(points)
    query = StoreQuery(prefetches(query_vectors[0], *ARMS), 5, Rrf(61, (1.0, 1.0, 1.0)))
    expected = [point.score for point in search(store, query)]

    def work(number):
        if number % 4 == 0:
            store.upsert([replace(points[number], payload={"round": number})])
        return [point.score for point in search(store, query)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(40)))
    assert store.count() == 60
    assert all(len(scores) == len(expected) for scores in results)


# Lists to be fused


def test_a_list_to_be_fused_is_the_search_without_payloads(store, points, query_vectors):
    store.upsert(points)
    vectors = query_vectors[2]
    lists = [
        *(StoreQuery(prefetches(vectors, arm, limit=15), 3, filter=ZH) for arm in ARMS),
        StoreQuery(
            prefetches(vectors, *ARMS, limit=15), 3, rescore=("colbert", vectors["colbert"])
        ),
    ]
    wanted = store.query([replace(each, limit=15) for each in lists])
    for ranked, found in zip(store.rank(lists), wanted, strict=True):
        assert ranked.evidence == []
        assert [key for key, _ in ranked.ranking] == ids(found)
        assert [score for _, score in ranked.ranking] == pytest.approx(
            [point.score for point in found]
        )
    assert len(wanted[0]) > 3, "a list is as long as its prefetch, not as the results"
    assert store.rank([]) == []


def test_the_best_of_a_list_come_with_the_vectors_asked_for(store, points, query_vectors):
    store.upsert(points)
    vectors = query_vectors[2]
    lists = [
        StoreQuery(prefetches(vectors, "sparse"), 5, with_vectors=("sparse",), evidence=3),
        StoreQuery(prefetches(vectors, "dense"), 5),
        StoreQuery(prefetches(vectors, "bm25"), 5, with_vectors=("bm25",), evidence=2),
    ]
    ranked = store.rank(lists)
    assert [len(each.evidence) for each in ranked] == [3, 0, 2]
    for query, each in zip(lists, ranked, strict=True):
        best = each.ranking[: query.evidence]
        assert ids(each.evidence) == [key for key, _ in best]
        assert [point.score for point in each.evidence] == pytest.approx([one for _, one in best])
        stored = {point.id: point for point in points}
        for point in each.evidence:
            assert not point.payload
            (name,) = point.vectors
            assert (name,) == query.with_vectors
            kept = stored[point.id].vectors[name]
            assert point.vectors[name].indices.tolist() == kept.indices.tolist()
            assert point.vectors[name].values == pytest.approx(kept.values)


def test_a_list_keeps_to_its_threshold_and_to_what_there_is(store, points, query_vectors):
    store.upsert(points[:2])
    (plain,) = prefetches(query_vectors[0], "dense")
    (few,) = store.rank([StoreQuery((plain,), 1)])
    assert len(few.ranking) == 2
    between = sum(score for _, score in few.ranking) / 2
    lists = [StoreQuery((replace(plain, threshold=between),), 1, evidence=3)]
    (above,) = store.rank(lists)
    assert above.ranking == few.ranking[:1]
    assert len(above.evidence) == 1


# Agreement


def test_all_stores_agree(all_stores, many_points, query_vectors):
    """The same points and queries give the same ids in the same order, and the same scores."""
    for store in all_stores.values():
        store.upsert(many_points)
        store.optimize()
    for number, vectors in enumerate(query_vectors[:4]):  # local mode needs seconds for each
        plain = prefetches(vectors, *ARMS, limit=30)
        over = Prefetch("colbert", vectors["colbert"], 90, over_candidates=True)
        filter_ = ZH if number % 2 else None
        queries = [
            *(StoreQuery(prefetches(vectors, arm), 20) for arm in (*ARMS, "colbert")),
            StoreQuery(plain, 20, Dbsf()),
            StoreQuery(plain, 20, Linear((1.0, 0.3, 0.1))),
            StoreQuery(plain, 20, rescore=("colbert", vectors["colbert"])),
            StoreQuery((*plain, over), 20, Dbsf()),
            StoreQuery((*plain, over), 20, Linear((1.0, 0.3, 0.1, 0.25))),
        ]
        # irrational-looking weights: equal ones would tie ranks, which engines order at will
        queries.append(StoreQuery(plain, 20, Rrf(61, (1.0, 0.7391, 1.3127))))
        asked = [replace(query, filter=filter_) for query in queries]
        expected = all_stores["fake"].query(asked)
        for name, store in all_stores.items():
            for query, found, wanted in zip(asked, store.query(asked), expected, strict=True):
                assert ids(found) == ids(wanted), (name, number, query.fusion)
                assert [point.score for point in found] == pytest.approx(
                    [point.score for point in wanted], abs=1e-4
                )


# Odd values in the fields of points and searches

CYCLIC: dict = {}
CYCLIC["a"] = CYCLIC
DEEP: dict = {}
for _ in range(1000):
    DEEP = {"a": DEEP}
VECTOR = np.ones(DIM, np.float32)
POINT = Point(1, {"dense": VECTOR}, {"n": 1})


class Text(StrEnum):
    DENSE = "dense"


@pytest.mark.parametrize(
    "fields",
    [
        *(
            {"id": odd}
            for odd in (None, True, -1, 2**64, 10**5000, 1.5, np.nan, "a", [1], "x" * 10**5)
        ),
        *(
            {"vectors": odd}
            for odd in (None, 1, "dense", [VECTOR], {1: VECTOR}, {"x" * 10**5: VECTOR})
        ),
        *(
            {"vectors": {"dense": odd}}
            for odd in (
                None,
                1,
                [1.0] * DIM,
                VECTOR * np.nan,
                VECTOR * 1j,
                np.ma.masked_array(VECTOR),
            )
        ),
        {"vectors": {"sparse": SparseVector(None, None)}},
        *({"payload": odd} for odd in (None, 1, "a", [1], {1: 1}, DEEP, CYCLIC)),
        *(
            {"payload": {"a": odd}}
            for odd in (np.nan, np.inf, 2**64, 10**5000, np.int64(1), {1}, b"a", object(), DEEP)
        ),
    ],
    ids=map(str, counting()),
)
def test_an_odd_field_of_a_point_is_named_and_nothing_is_written(store, fields):
    with pytest.raises((InputError, StoreError), match=r"allowed|refused|float32|JSON") as caught:
        store.upsert([replace(POINT, **fields)])
    assert len(str(caught.value)) < 600
    assert store.count() == 0


def test_fields_that_mean_plain_values_are_stored_as_those(store):
    odd = {
        Text.DENSE: VECTOR.astype(">f4"),
        "bm25": SparseVector(np.array([1, 5], np.int64), np.array([1, 2], np.float64)),
    }
    payload = {Text.DENSE: Text.DENSE, "list": (1, np.float64(0.5))}
    store.upsert([Point(np.int64(3), odd, payload)])
    (found,) = store.retrieve([np.uint8(3)], with_vectors=["dense", "bm25"])
    assert found.payload == {"dense": "dense", "list": [1, 0.5]}
    assert found.id == 3
    assert set(found.vectors) == {"dense", "bm25"}


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *(("limit", odd) for odd in (None, -1, 1.5, np.nan, 2**64, 10**5000, "1", VECTOR)),
        *(("using", odd) for odd in (None, 1, "nowhere", "\ud800", "x" * 10**5)),
        *(
            ("vector", odd)
            for odd in (None, 1, [1.0] * DIM, VECTOR[:1], VECTOR * np.inf, VECTOR * 1j)
        ),
        *(("threshold", odd) for odd in (np.nan, 10**5000, "1", DEEP)),
        ("over_candidates", VECTOR),
    ],
    ids=map(str, counting()),
)
@pytest.mark.parametrize("method", ["query", "rank"])
def test_an_odd_field_of_a_search_is_named(store, method, name, odd):
    fields = {"using": "dense", "vector": VECTOR, "limit": 3, name: odd}
    with pytest.raises(
        (InputError, StoreError), match=r"allowed|must be|there are|float32|NaN|shape"
    ) as caught:
        getattr(store, method)([StoreQuery((Prefetch(**fields),), 3)])
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "make",
    [
        *(lambda k=k: Rrf(k, (1.0,)) for k in (None, 0, 1.5, 10**5000)),
        *(lambda w=w: Rrf(2, (w,)) for w in (None, np.nan, np.inf, -1, 10**5000)),
        *(lambda w=w: Linear((w,)) for w in (None, np.nan, np.inf, "1", DEEP)),
        *(lambda v=v: StoreQuery(v, 3) for v in (None, (), (1,), "dense", CYCLIC)),
        *(lambda v=v: VectorSpec("a", "dense", v) for v in (0, -1, 1.5, "8")),
        *(lambda v=v: VectorSpec(v, "dense", 8) for v in (None, 1, DEEP)),
        lambda: VectorSpec("a", "fancy", 8),
        *(lambda v=v: Schema(v) for v in (None, 1, {"dense": 8}, CYCLIC)),
    ],
    ids=map(str, counting()),
)
def test_what_can_mean_nothing_is_refused_when_it_is_built(make):
    with pytest.raises(InputError, match=r"allowed|must be") as caught:
        make()
    assert len(str(caught.value)) < 600
