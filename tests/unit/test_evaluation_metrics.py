"""Figures are those of trec_eval, whatever was found."""

from __future__ import annotations

import sys

import ir_measures
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from trivec.errors import InputError, MissingDependencyError
from trivec.evaluation import MEASURES, Question, figures

PASSAGES = [f"d{number}" for number in range(15)]
OF_TREC = {
    "nDCG@10": "ndcg_cut_10",
    "R@1": "recall_1",
    "R@10": "recall_10",
    "RR@10": "recip_rank",
}


@st.composite
def runs(draw):
    judgements = st.dictionaries(
        st.sampled_from(PASSAGES), st.integers(1, 3), min_size=1, max_size=5
    )
    count = draw(st.integers(1, 6))
    questions = [Question(f"q{at}", "?", draw(judgements)) for at in range(count)]
    lists = st.lists(st.sampled_from(PASSAGES), unique=True, max_size=len(PASSAGES))
    ranked = {question.id: draw(lists) for question in questions if draw(st.booleans())}
    return questions, ranked


@given(runs())
def test_figures_equal_those_of_pytrec_eval(run):
    questions, ranked = run
    evaluator = pytrec_eval.RelevanceEvaluator(
        {question.id: dict(question.relevant) for question in questions},
        {"ndcg_cut.10", "recall.1,10", "recip_rank"},
    )
    cut = {  # trec_eval's reciprocal rank has no cutoff
        key: {passage: 100.0 - rank for rank, passage in enumerate(found[:10])}
        for key, found in ranked.items()
    }
    expected = evaluator.evaluate(cut)
    scored = figures(questions, ranked)
    for measure, name in OF_TREC.items():
        for at, question in enumerate(questions):
            theirs = expected.get(question.id, {}).get(name, 0.0)
            assert scored[measure][at] == pytest.approx(theirs, abs=1e-9)


def test_questions_that_are_alike_are_scored_once(monkeypatch):
    asked = []
    calculate = ir_measures.iter_calc

    def counting(measures, judgements, run):
        asked.extend(judgements)
        return calculate(measures, judgements, run)

    monkeypatch.setattr(ir_measures, "iter_calc", counting)
    questions = [Question(f"q{at}", "?", {f"d{at}": 1}) for at in range(20)]
    ranked = {one.id: ["x", one.id.replace("q", "d")][at % 2 :] for at, one in enumerate(questions)}
    assert figures(questions, ranked)["RR@10"].tolist() == [0.5, 1.0] * 10
    assert len(asked) == 2


def test_an_id_that_several_sources_have_counts_where_it_stands_first():
    scored = figures([Question("a", "?", {"d1": 1})], {"a": ["d1", "d2", "d1"]})
    assert scored["R@1"].tolist() == scored["nDCG@10"].tolist() == [1.0]


def test_what_finds_nothing_scores_nothing():
    questions = [Question("a", "?", {"d1": 1}), Question("b", "?", {"d2": 1})]
    for ranked in ({}, {"a": []}, {"a": [], "b": []}):
        scored = figures(questions, ranked)
        assert {name: values.tolist() for name, values in scored.items()} == {
            name: [0.0, 0.0] for name in MEASURES
        }


def test_no_questions_are_no_error():
    assert {name: values.tolist() for name, values in figures([], {}).items()} == {
        name: [] for name in MEASURES
    }


def test_a_measure_that_is_none():
    with pytest.raises(InputError, match="nonsense"):
        figures([], {}, ["nonsense@3"])


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingDependencyError, match=r"trivec\[evaluation\]"):
        figures([], {})
