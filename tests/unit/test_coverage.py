"""How much of a query the best passages hold, and what adaptive fusion makes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.arms import BM25, COLBERT, SPARSE
from trivec.coverage import UNSEEN_IDF, belief, coverage, evidence_of_words, prominence
from trivec.index.adaptive import AdaptiveSearch, FusedList, fused
from trivec.query import Prefetch, RankedList
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
    """Return a list that was found, all of it looked at."""
    held = {} if vectors is None else vectors
    evidence = [StoredPoint(key, {}, held, score) for key, score in scores.items()]
    return RankedList(list(scores.items()), evidence)


MEANING = {1: 0.9, 2: 0.8, 3: 0.7}

STANDS_OUT = (prominence([2.0], 3) / prominence(list(MEANING.values()), 3)) ** 3
"""What one match among three passages counts for standing out, beside the list of meaning."""


@given(
    st.dictionaries(st.integers(1, 9), st.floats(0.1, 5.0), max_size=3),
    st.permutations([1, 2, 3]),
)
def test_a_query_whose_words_nobody_has_keeps_the_dense_order(chance, order):
    """Whatever a lexical arm returns: passages that hold no term of the query have no say."""
    meaning = {key: 0.9 - 0.1 * at for at, key in enumerate(order)}
    words = points(chance, {"sparse": sparse(t7=1.0)})
    lists = search(sparse=0).weighed([points(meaning), words])
    scores = fused(lists)
    assert [key for key, score in scores if score > 0] == order[:2]  # the third is the floor
    assert [each.weight for each in lists] == [1.0, 0.0]


def test_the_weight_grows_with_the_cube_of_coverage_between_two_bounds():
    half = points({3: 2.0}, {"sparse": sparse(t1=1.0)})
    dense, words = search(sparse=0).weighed([points(MEANING), half])
    assert words.weight / dense.weight == pytest.approx(STANDS_OUT / 8)  # .5 lies halfway
    assert words.covered == pytest.approx(0.5)
    whole = points({3: 2.0}, {"sparse": sparse(t1=1.0, t2=1.0)})
    dense, words = search(sparse=0).weighed([points(MEANING), whole])
    assert words.weight / dense.weight == pytest.approx(STANDS_OUT * SPARSE.adaptive_weight)
    assert {key for key, _ in fused([dense, words])[:2]} == {1, 3}


def test_between_which_coverages_an_arm_comes_to_its_say():
    assert [belief(covered) for covered in (0.0, 0.3, 0.7, 1.0)] == [0, 0, 1, 1]
    assert belief(0.5) == pytest.approx(1 / 8)


def test_how_far_the_best_of_a_list_stands_out():
    assert prominence([], 0) == prominence([], 5) == prominence([3.0, 3.0], 2) == 0.5
    assert prominence([0.1, 0.1, 0.1], 3) == 0.5  # whose mean is not .1 to the last digit
    assert prominence([1.0], 100) == pytest.approx(0.5 + (1 - 0.01) / (6 * 0.1))
    assert prominence([9.0, 1.0, 1.0], 3) == prominence([9.0, 1.0, 1.0], 0)  # none is missing
    assert prominence([9.0, 1.0, 1.0], 9) > prominence([9.0, 8.0, 8.0], 9)
    assert prominence([0.9, 0.8, 0.7], 3) == pytest.approx(prominence([9.0, 8.0, 7.0], 3))


def test_a_list_of_even_scores_counts_less_than_one_whose_best_stands_out():
    held = {"sparse": sparse(t1=1.0, t2=1.0)}
    weights = [
        search(sparse=0).weighed([points(MEANING), points(scores, held)])[1].weight
        for scores in ({3: 2.0, 2: 1.9, 1: 1.8}, {3: 2.0, 2: 0.2, 1: 0.1})
    ]
    assert weights[0] < weights[1]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (sparse(t7=1.0), COLBERT.wordless_weight),
        (sparse(t1=1.0, t2=1.0), COLBERT.adaptive_weight),
    ],
)
def test_token_vectors_count_more_where_no_words_are_believed(held, expected):
    plain = search(sparse=0)
    rows = FusedList("colbert", "q", Prefetch("colbert", np.ones((2, 2), np.float32), 3), 1.0)
    words = points({3: 2.0}, {"sparse": held})
    answers = [points(MEANING), words, points(MEANING)]
    dense, _, tokens = replace(plain, lists=(*plain.lists, rows)).weighed(answers)
    assert tokens.weight / dense.weight == pytest.approx(expected)


def test_plain_words_are_believed_by_the_models_coverage_too():
    assert evidence_of_words(0.4, 0.8) == pytest.approx(0.8 * 0.8 + 0.2 * 0.4)
    assert evidence_of_words(0.1, 0.8) == pytest.approx(0.3)  # never above three times its own
    assert evidence_of_words(0.0, 1.0) == 0.0  # a word that nobody has
    assert evidence_of_words(0.4, None) == pytest.approx(0.6)
    assert evidence_of_words(0.9, None) == 1.0


@pytest.mark.parametrize("covered", [0.5, 1.0])
def test_bm25_counts_more_where_the_sparse_arm_covers_the_query(covered):
    """The same list of BM25 beside one of sparse that holds half of the query, or all of it."""
    terms = {1: 1.0} if covered < 1 else {1: 1.0, 2: 1.0}
    held = points({3: 2.0}, {"sparse": SparseVector.from_mapping(terms), "bm25": sparse(t1=1.0)})
    dense, _, words = search(sparse=0, bm25=0).weighed([points(MEANING), held, held])
    expected = BM25.adaptive_weight * belief(evidence_of_words(0.5, covered))
    assert words.weight / dense.weight == pytest.approx(STANDS_OUT * expected)
    assert words.covered == pytest.approx(0.5)  # what it says of itself is its own


def test_the_text_that_is_covered_lends_no_belief_to_another():
    """Each text is weighed by its own lists."""
    dense = FusedList("dense", "q", Prefetch("dense", np.ones(2, np.float32), 3), 1.0)
    query = Prefetch("sparse", sparse(t1=1.0, t2=1.0), 3)
    lists = (
        dense,
        FusedList("sparse", "one", query, 1.0),
        FusedList("bm25", "other", replace(query, using="bm25"), 1.0),
    )
    held = points({3: 2.0}, {"sparse": sparse(t1=1.0, t2=1.0), "bm25": sparse(t1=1.0)})
    found = AdaptiveSearch(lists, limit=5).weighed([points(MEANING), held, held])
    expected = BM25.adaptive_weight * belief(evidence_of_words(0.5, None))
    assert found[2].weight / found[0].weight == pytest.approx(STANDS_OUT * expected)


@given(st.lists(st.floats(0.01, 9.0), min_size=2, max_size=9, unique=True))
def test_chance_words_count_less_than_what_stands_out(scores):
    """A lexical list counts by the cube of what each passage reaches of the best score."""
    found = dict(enumerate(sorted(scores, reverse=True)))
    held = points(found, {"sparse": sparse(t1=1.0, t2=1.0)})
    _, words = search(sparse=0).weighed([points(MEANING), held])
    best = max(scores)
    for key, part in words.parts(list(found)).items():
        assert part.score == pytest.approx(words.weight * (found[key] / best) ** 3)


def test_the_parts_add_up_to_the_score():
    found = points({3: 2.0, 4: 1.0}, {"sparse": sparse(t1=1.0, t2=1.0)})
    lists = search(sparse=0).weighed([points(MEANING), found])
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
