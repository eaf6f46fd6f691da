"""How much of a query the best passages hold, and what adaptive fusion makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.arms import arm_named
from trivec.coverage import UNSEEN_IDF, coverage
from trivec.index.adaptive import LOWER_AMONG_FEW, AdaptiveSearch, FusedList, fused
from trivec.query import Prefetch
from trivec.types import ScorePart, SparseVector, StoredPoint

QUERY = SparseVector.from_mapping({1: 2.0, 2: 1.0, 3: 1.0})


def sparse(**weights):
    return SparseVector.from_mapping({int(key[1:]): value for key, value in weights.items()})


def test_without_idf_it_is_the_share_of_the_query_weight():
    held = [sparse(t1=0.1, t9=5.0), sparse(t2=1.0, t3=1.0), sparse(t1=0.1, t3=0.2)]
    assert coverage(QUERY, held[:1], [0.2], idf=False) == pytest.approx(2 / 4)
    assert coverage(QUERY, held, [0.2, 2.0, 0.4], idf=False) == pytest.approx(3 / 4)


def test_nothing_shared_is_no_coverage():
    assert coverage(QUERY, [], [], idf=True) == 0.0
    assert coverage(QUERY, [sparse(t9=1.0)], [0.0], idf=True) == 0.0
    assert coverage(sparse(), [sparse(t9=1.0)], [1.0], idf=False) == 0.0
    assert coverage(sparse(t9=0.0), [sparse(t9=1.0)], [0.0], idf=False) == 0.0


def test_a_word_that_nobody_has_weighs_more_than_a_common_one():
    query = sparse(t1=1.0, t2=1.0)
    common = coverage(query, [sparse(t1=1.0)], [0.1], idf=True)
    rare = coverage(query, [sparse(t1=1.0)], [7.0], idf=True)
    assert common == pytest.approx(0.1 / (0.1 + UNSEEN_IDF), abs=0.03)
    assert rare == pytest.approx(7 / (7 + UNSEEN_IDF), abs=0.03)


@given(st.integers(0, 10_000))
def test_the_idf_is_found_again(seed):
    """With as many passages as terms the estimate is what an index of statistics would say."""
    rng = np.random.default_rng(seed)
    terms, passages = 4, 5
    idf = rng.uniform(0.2, 7.0, terms)
    asked = rng.integers(1, 3, terms).astype(np.float32)
    held = rng.uniform(0.5, 2.2, (passages, terms)) * (rng.random((passages, terms)) < 0.7)
    query = SparseVector(np.arange(terms, dtype=np.uint32), asked)
    vectors = [
        SparseVector(np.flatnonzero(row).astype(np.uint32), row[row > 0].astype(np.float32))
        for row in held
    ]
    known = held.any(axis=0)
    weights = asked * np.where(known, idf, UNSEEN_IDF)
    expected = ((held > 0) * weights).sum(axis=1).max() / weights.sum()
    estimate = coverage(query, vectors, list(held @ (asked * idf)), idf=True)
    assert estimate == pytest.approx(expected, abs=0.35)
    assert 0 <= estimate <= 1


def search(**coverages):
    """Return a search of a dense list and a lexical one for each name."""
    dense = FusedList("dense", "q", Prefetch("dense", np.ones(2, np.float32), 3), 1.0)
    lexical = [
        FusedList(arm, "q", Prefetch(arm, sparse(t1=1.0, t2=1.0), 3), 1.0) for arm in coverages
    ]
    return AdaptiveSearch((dense, *lexical), limit=5)


def points(scores, vectors=None):
    return [
        StoredPoint(key, {}, {} if vectors is None else vectors, score)
        for key, score in scores.items()
    ]


MEANING = {1: 0.9, 2: 0.8, 3: 0.7}


@given(
    st.dictionaries(st.integers(1, 9), st.floats(0.1, 5.0), max_size=3),
    st.permutations([1, 2, 3]),
)
def test_a_query_whose_words_nobody_has_keeps_the_dense_order(chance, order):
    """Whatever a lexical arm returns: passages that hold no term of the query have no say."""
    meaning = {key: 0.9 - 0.1 * at for at, key in enumerate(order)}
    words = points(chance, {"sparse": sparse(t7=1.0)})
    lists = search(sparse=0).weighed([points(meaning), words, words])
    scores = fused(lists)
    assert [key for key, score in scores if score > 0] == order[:2]  # the third is the floor
    assert [each.weight for each in lists] == [1.0, 0.0]


def test_the_weight_grows_with_the_square_of_coverage_between_two_bounds():
    half = points({3: 2.0}, {"sparse": sparse(t1=1.0)})
    dense, words = search(sparse=0).weighed([points(MEANING), half, half])
    assert words.weight / dense.weight == pytest.approx(2.0 * 0.4**2)  # .2 of the .5 from .3 to .8
    assert words.covered == pytest.approx(0.5)
    whole = points({3: 2.0}, {"sparse": sparse(t1=1.0, t2=1.0)})
    dense, words = search(sparse=0).weighed([points(MEANING), whole, whole])
    assert words.weight / dense.weight == pytest.approx(2.0)
    assert [key for key, _ in fused([dense, words])] == [3, 1, 2]


@pytest.mark.parametrize(("arm", "none", "whole"), [("sparse", 0.3, 0.8), ("bm25", 0.25, 0.7)])
def test_between_which_coverages_an_arm_comes_to_its_say(arm, none, whole):
    prefetch = Prefetch(arm, sparse(t1=1.0), 10)
    weigh = FusedList(arm, "q", prefetch, 0.5).weight_at
    own = 0.5 * arm_named(arm).adaptive_weight
    assert [weigh(covered, 0.0) for covered in (0.0, none, whole, 1.0)] == [0, 0, own, own]
    assert weigh((none + whole) / 2, 0.0) == pytest.approx(own / 4)
    assert weigh(none, LOWER_AMONG_FEW) > 0 == weigh(none - LOWER_AMONG_FEW, LOWER_AMONG_FEW)
    assert weigh(None, 0.0) == own


def test_the_parts_add_up_to_the_score():
    found = points({3: 2.0, 4: 1.0}, {"sparse": sparse(t1=1.0, t2=1.0)})
    lists = search(sparse=0).weighed([points(MEANING), found, found])
    scores = dict(fused(lists))
    parts = [each.parts(list(scores)) for each in lists]
    for key, score in scores.items():
        assert math.isclose(sum(part[key].score for part in parts), score)
    assert math.isclose(sum(each.weight for each in lists), 1.0)


def test_a_part_says_why_in_words():
    part = ScorePart("sparse", "q", 0.08, 0.0, coverage=0.083)
    assert part.why == "no passage has more than 8 % of the query's weight"
    nothing = ScorePart("bm25", "q", 0.0, 0.0, coverage=0.0)
    assert nothing.why == "no passage has a word of the query"
    assert ScorePart("dense", "q", 0.5, 0.5).why == "meaning counts for every query"
