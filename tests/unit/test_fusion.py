"""Fusion against values computed by hand and against Qdrant's own implementation."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import SearchOptions
from trivec.errors import InputError
from trivec.fusion import (
    FUSIONS,
    Dbsf,
    Fusion,
    FusionName,
    Linear,
    Rrf,
    Scale,
    distribution_based_fusion,
    fuse,
    maximal_marginal_relevance,
    method_of,
    reciprocal_rank_fusion,
    share_fusion,
    shares_of_best,
    weighted_sum_fusion,
)
from trivec.index.planning import EncodedText, plan_search
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores.edge.codec import edge_request
from trivec.stores.execution import plan_query
from trivec.stores.server.requests import search_body
from trivec.types import QueryText

RANKINGS = [[("a", 9.0), ("b", 3.0)], [("b", 0.5), ("c", 0.4)]]

rankings = st.lists(
    st.dictionaries(st.integers(0, 20), st.floats(-5, 5, width=32), max_size=8).map(
        lambda scores: sorted(scores.items(), key=lambda item: -item[1])
    ),
    max_size=4,
)


def test_rrf_by_hand_counts_ranks_from_0():
    fused = dict(reciprocal_rank_fusion(RANKINGS))  # k = 61
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_rrf_of_the_paper_with_60_is_61_here():
    paper = {"a": 1 / (60 + 1), "b": 1 / (60 + 2) + 1 / (60 + 1), "c": 1 / (60 + 2)}
    assert dict(reciprocal_rank_fusion(RANKINGS, k=61)) == pytest.approx(paper)


def test_a_weight_divides_the_rank():
    fused = dict(reciprocal_rank_fusion(RANKINGS, k=2, weights=[2.0, 0.0]))
    assert fused == pytest.approx({"a": 1 / (1 / 2 + 1), "b": 1 / (2 / 2 + 1), "c": 0.0})


def test_dbsf_by_hand():
    [(first, score), (second, other)] = distribution_based_fusion([[("a", 3.0), ("b", 1.0)]])
    sigma = math.sqrt(2.0)
    assert (first, second) == ("a", "b")
    assert score == pytest.approx((3 - (2 - 3 * sigma)) / (6 * sigma))
    assert other == pytest.approx((1 - (2 - 3 * sigma)) / (6 * sigma))


@pytest.mark.parametrize("ranking", [[("a", 7.0)], [("a", 2.0), ("b", 2.0)]])
def test_dbsf_without_spread_counts_a_half(ranking):
    assert all(score == 0.5 for _, score in distribution_based_fusion([ranking]))


def test_weighted_sum_counts_absence_as_0():
    fused = weighted_sum_fusion(RANKINGS, [1.0, 10.0])
    assert fused == [("a", 9.0), ("b", pytest.approx(8.0)), ("c", pytest.approx(4.0))]


@pytest.mark.parametrize(
    "fuse", [reciprocal_rank_fusion, distribution_based_fusion, weighted_sum_fusion]
)
def test_ties_keep_the_order_of_first_appearance(fuse):
    lists = [[("z", 1.0), ("a", 1.0)], [("a", 1.0), ("z", 1.0)], [("m", 9.0)]]
    assert [name for name, _ in fuse(lists) if name != "m"] == ["z", "a"]


@pytest.mark.parametrize(
    ("fuse", "half"),
    [(reciprocal_rank_fusion, 1 / 61), (distribution_based_fusion, 0.5), (weighted_sum_fusion, 4)],
)
def test_the_best_comes_first_wherever_it_stood(fuse, half):
    fused = fuse([[("a", 4.0)], [("b", 4.0)], [("b", 4.0)], []])
    assert fused == [("b", pytest.approx(2 * half)), ("a", pytest.approx(half))]
    assert fuse([]) == fuse([[]]) == []


def test_dbsf_of_equal_scores_beside_others():
    fused = dict(distribution_based_fusion([[("a", 2.0), ("b", 2.0)], [("a", 3.0), ("b", 1.0)]]))
    sigma = math.sqrt(2.0)
    assert fused == pytest.approx(
        {"a": 0.5 + (1 + 3 * sigma) / (6 * sigma), "b": 0.5 + (-1 + 3 * sigma) / (6 * sigma)}
    )


@pytest.mark.parametrize("fuse", [reciprocal_rank_fusion, weighted_sum_fusion])
def test_weights_must_fit_the_rankings(fuse):
    with pytest.raises(InputError, match="1 weights for 2 rankings"):
        fuse(RANKINGS, weights=[1.0])


@given(rankings, st.integers(2, 80))
def test_agrees_with_qdrant(lists, k):
    from qdrant_client import models
    from qdrant_client.hybrid import fusion as theirs

    def points():
        return [
            [models.ScoredPoint(id=key, version=0, score=score) for key, score in ranking]
            for ranking in lists
        ]

    rrf = {p.id: p.score for p in theirs.reciprocal_rank_fusion(points(), 99, k)}
    assert dict(reciprocal_rank_fusion(lists, k=k)) == pytest.approx(rrf)
    if all(len({score for _, score in ranking}) in (0, len(ranking)) for ranking in lists):
        dbsf = {p.id: p.score for p in theirs.distribution_based_score_fusion(points(), 99)}
        assert dict(distribution_based_fusion(lists)) == pytest.approx(dbsf, abs=1e-4)


def test_mmr_trades_relevance_for_diversity():
    query = np.array([1.0, 0.0], dtype=np.float32)
    candidates = np.array([[1.0, 0.1], [1.0, 0.11], [0.6, -0.8]], dtype=np.float32)
    assert maximal_marginal_relevance(query, candidates, lambda_mult=1.0, k=2) == [0, 1]
    assert maximal_marginal_relevance(query, candidates, lambda_mult=0.3, k=2) == [0, 2]


def test_mmr_looks_at_directions_alone():
    """Neither the query's length nor a candidate's counts."""
    query = np.array([1.0, 0.2], dtype=np.float32)
    candidates = np.array([[1.0, 0.1], [1.0, 0.3], [0.6, -0.8], [-1, 0]], dtype=np.float32)
    chosen = maximal_marginal_relevance(query, candidates, lambda_mult=0.6, k=4)
    for lengths in ([0.01, 5.0, 30.0, 1.0], [7.0, 0.1, 1.0, 90.0]):
        scaled = candidates * np.array(lengths, dtype=np.float32)[:, None]
        assert maximal_marginal_relevance(query * 9, scaled, lambda_mult=0.6, k=4) == chosen


def test_mmr_by_hand():
    """Each step weighs the relevance against the nearest of all that were chosen."""

    def unit(degrees):
        return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]

    candidates = np.array([unit(angle) for angle in (0, 10, 80, 130)], dtype=np.float32)
    query = np.array(unit(0), dtype=np.float32)

    def chosen(lambda_mult):
        return maximal_marginal_relevance(query, candidates, lambda_mult=lambda_mult, k=4)

    assert chosen(1.0) == [0, 1, 2, 3]
    # third: 0.1 cos 80 - 0.9 cos 50 = -0.56 of the 80 beats 0.1 cos 10 - 0.9 cos 10 = -0.79 of the
    # 10, which is far from the second, but near the first
    assert chosen(0.1) == [0, 3, 2, 1]


LONG = np.array([[3e300, 4e300], [0, 1e-300], [1e300, 0]])


def test_mmr_of_vectors_whose_squares_no_float_holds():
    directions = np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]])
    asked = np.array([3e300, 4e300])
    for lambda_mult in (1.0, 0.3):
        assert maximal_marginal_relevance(
            asked, LONG, lambda_mult=lambda_mult, k=3
        ) == maximal_marginal_relevance(directions[0], directions, lambda_mult=lambda_mult, k=3)


def test_mmr_of_a_vector_of_zeros_is_like_none():
    zeros, ones = np.zeros(2), np.array([[1.0, 1.0], [0.0, 0.0]])
    assert maximal_marginal_relevance(ones[0], ones[::-1], lambda_mult=1.0, k=1) == [1]
    assert maximal_marginal_relevance(zeros, ones, lambda_mult=0.5, k=2) == [0, 1]


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_mmr_of_what_is_no_number(odd):
    good, bad = np.ones((2, 2)), np.full((2, 2), odd)
    with pytest.raises(InputError, match="query holds NaN or infinity"):
        maximal_marginal_relevance(bad[0], good, lambda_mult=0.5, k=1)
    with pytest.raises(InputError, match="candidates holds NaN or infinity"):
        maximal_marginal_relevance(good[0], bad, lambda_mult=0.5, k=1)


def test_scores_at_the_end_of_what_floats_hold():
    scores = [("a", 1.0), ("b", 0.5), ("c", -0.5)]
    large = [(name, score * 1.6e308) for name, score in scores]
    assert dict(distribution_based_fusion([large])) == pytest.approx(
        dict(distribution_based_fusion([scores]))
    )
    with pytest.raises(InputError, match="finite numbers"):
        distribution_based_fusion([[("a", math.inf), ("b", 0.0)]])
    for ranking, floor in ((large, None), (scores, -math.inf)):
        with pytest.raises(InputError, match="finite numbers whose difference is one"):
            shares_of_best(ranking, floor)


@pytest.mark.parametrize("power", [0, -3.0])
def test_a_share_is_raised_to_what_is_above_0(power):
    for use in (lambda: shares_of_best(RANKINGS[0], None, power), lambda: Scale(power=power)):
        with pytest.raises(InputError, match=r"power=.*above 0"):
            use()


@pytest.mark.parametrize("k", [0, -1])
def test_mmr_of_nothing(k):
    assert maximal_marginal_relevance(np.ones(2), np.ones((3, 2)), lambda_mult=0.5, k=k) == []
    assert maximal_marginal_relevance(np.ones(2), np.empty((0, 2)), lambda_mult=0.5, k=3) == []


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
def test_mmr_never_repeats(count, k, lambda_mult):
    rng = np.random.default_rng(count)
    candidates = rng.standard_normal((count, 5)).astype(np.float32)
    chosen = maximal_marginal_relevance(candidates[0], candidates, lambda_mult=lambda_mult, k=k)
    assert len(chosen) == len(set(chosen)) == min(k, count)


def test_the_table_has_every_name_and_every_value():
    assert list(FUSIONS) == list(get_args(FusionName))
    values = {
        name: method.request(2, (1.0, 1.0))
        for name, method in FUSIONS.items()
        if method.request is not None
    }
    assert set(FUSIONS) - set(values) == {"adaptive"}  # trivec fuses these lists itself
    assert [type(value) for value in values.values()] == list(get_args(Fusion))
    for name, value in values.items():
        assert method_of(value) is FUSIONS[name]
        assert FUSIONS[name].weighted is (value.weights is not None)


def test_shares_by_hand():
    assert shares_of_best([("a", 9.0), ("b", 3.0), ("c", 1.0)]) == [("a", 1), ("b", 0.25), ("c", 0)]
    assert shares_of_best([("a", 8.0), ("b", 2.0)], floor=0.0) == [("a", 1), ("b", 0.25)]
    assert shares_of_best([("a", -1.0), ("b", -2.0)], floor=0.0) == [("a", 1), ("b", 0)]
    assert shares_of_best([("a", 3.0), ("b", 3.0)]) == [("a", 1), ("b", 1)]
    assert shares_of_best([("a", 8.0), ("b", 2.0)], 0.0, 3) == [("a", 1), ("b", 1 / 64)]
    assert shares_of_best([]) == []


def test_share_fusion_by_hand():
    rankings = [[("a", 9.0), ("b", 3.0), ("c", 1.0)], [("c", 8.0), ("d", 2.0)]]
    fused = share_fusion(rankings, [3.0, 1.0], [Scale(), Scale(floor=0.0)])
    assert fused == [("a", 0.75), ("c", 0.25), ("b", 0.1875), ("d", 0.0625)]
    sharper = dict(share_fusion(rankings, scales=[Scale(power=2), Scale(0.0, 3)]))
    assert sharper == {"a": 1 / 2, "c": 1 / 2, "b": 1 / 32, "d": 1 / 128}
    assert share_fusion([], []) == []
    with pytest.raises(InputError, match=r"^1 scales for 2 rankings; give one for each"):
        share_fusion(rankings, scales=[Scale()])


@given(rankings)
def test_fused_shares_lie_between_0_and_1(lists):
    assert all(0 <= score <= 1 + 1e-9 for _, score in share_fusion(lists))


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        (Rrf(7, (1.0, 0.5)), reciprocal_rank_fusion(RANKINGS, k=7, weights=[1.0, 0.5])),
        (Dbsf(), distribution_based_fusion(RANKINGS)),
        (Linear((1.0, 0.5)), weighted_sum_fusion(RANKINGS, [1.0, 0.5])),
    ],
)
def test_every_value_has_its_formula(fusion, expected):
    assert fuse(fusion, RANKINGS) == expected


class Unknown:
    """A fusion of which nobody has heard."""

    weights = None


def searched(fusion):
    vector = np.ones(2, np.float32)
    return StoreQuery((Prefetch("a", vector, 5), Prefetch("b", vector, 5)), 5, fusion)


def plan(name):
    vectors = {"dense": np.ones(2, np.float32), "colbert": np.ones((1, 2), np.float32)}
    options = SearchOptions(arms=tuple(vectors))
    object.__setattr__(options, "fusion", name)
    specs = {"dense": VectorSpec("dense", "dense", 2), "colbert": VectorSpec("c", "multivector", 2)}
    text = EncodedText(QueryText("q"), vectors)
    return plan_search(
        [text], dict.fromkeys(vectors, 1.0), options, Schema(specs), k=3, filter=None
    )


@pytest.mark.parametrize(
    "take",
    [lambda fusion: fuse(fusion, RANKINGS), method_of, lambda fusion: plan_query(searched(fusion))],
    ids=["function", "table", "execution"],
)
def test_an_unknown_fusion_is_never_taken_for_another(take):
    with pytest.raises(InputError, match="Unknown"):
        take(Unknown())


@pytest.mark.parametrize(
    ("module", "ask"),
    [
        ("trivec.stores.edge.codec", edge_request),
        ("trivec.stores.server.requests", lambda query: search_body(query, exact=False)),
    ],
    ids=["edge", "server"],
)
def test_an_engine_is_never_asked_for_another_fusion(module, ask, monkeypatch):
    planned = plan_query(searched(Dbsf()))
    monkeypatch.setattr(f"{module}.plan_query", lambda *_: replace(planned, root=Unknown()))
    with pytest.raises(AssertionError, match="Unknown"):
        ask(searched(Dbsf()))


def test_an_unknown_name_is_refused_and_never_planned():
    with pytest.raises(InputError, match="fusion='median'; allowed: adaptive, rrf, dbsf, linear"):
        SearchOptions(fusion="median")
    assert plan("linear").query.fusion == Linear((1.0, 1.0))
    with pytest.raises(KeyError, match="median"):
        plan("median")
