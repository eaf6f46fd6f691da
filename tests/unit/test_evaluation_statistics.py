"""Intervals cover what they say, and tests find no difference where there is none."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.evaluation import compare_all, compared, estimated, statistics, units_of
from trivec.evaluation.statistics import holm


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 1000)


def clustered(random, documents=40, questions=10, spread=0.3):
    """Questions of one document are alike."""
    of_document = random.normal(0.5, spread, documents)
    values = np.repeat(of_document, questions) + random.normal(0, 0.05, documents * questions)
    units, drawn_by = units_of([f"d{at // questions}" for at in range(len(values))])
    assert drawn_by == "document"
    return values, units


def test_units_are_documents_where_there_are_enough():
    units, drawn_by = units_of([f"d{at % 10}" for at in range(20)])
    assert drawn_by == "document"
    assert sorted(set(units.tolist())) == list(range(10))
    assert units[3] == units[13]
    units, drawn_by = units_of([f"d{at % 9}" for at in range(20)])
    assert (drawn_by, units.tolist()) == ("question", list(range(20)))


def test_an_interval_by_document_is_wider_than_by_question(few_draws):
    values, units = clustered(np.random.default_rng(1))
    by_document = estimated(values, units)
    by_question = estimated(values, np.arange(len(values)))
    assert by_document.mean == by_question.mean == pytest.approx(values.mean())
    assert by_document.high - by_document.low > 2 * (by_question.high - by_question.low)
    assert by_document.low < by_document.mean < by_document.high


def test_an_interval_covers_the_truth_nineteen_times_in_twenty(few_draws):
    random = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        estimate = estimated(*clustered(random), seed=seed)
        covered += estimate.low <= 0.5 <= estimate.high
    assert 0.89 <= covered / 200 <= 0.99


def test_chance_alone_is_rarely_significant(few_draws):
    random = np.random.default_rng(3)
    false = 0
    for seed in range(200):
        first, units = clustered(random)
        second, _ = clustered(random)
        false += compared(first, second, units, seed=seed).p < 0.05
    assert 0.01 <= false / 200 <= 0.1


def test_a_real_difference_is_found(few_draws):
    first, units = clustered(np.random.default_rng(4))
    comparison = compared(first + 0.02, first, units)
    assert comparison.significant
    assert comparison.delta.mean == pytest.approx(0.02)
    assert (comparison.wins, comparison.ties, comparison.losses) == (400, 0, 0)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=8))
def test_a_few_units_are_tried_exactly(differences):
    values = np.array(differences)
    comparison = compared(values, np.zeros(len(values)), np.arange(len(values)))
    every = [abs(np.dot(signs, values)) for signs in product((1, -1), repeat=len(values))]
    assert comparison.p == pytest.approx(np.mean(np.array(every) >= abs(values.sum()) - 1e-9))


def test_equal_systems_are_no_wins_and_no_losses(few_draws):
    values, units = clustered(np.random.default_rng(5))
    comparison = compared(values, values + 1e-15, units, names=("a", "b"))
    assert (comparison.first, comparison.second) == ("a", "b")
    assert (comparison.wins, comparison.ties, comparison.losses) == (0, 400, 0)
    assert comparison.p == comparison.corrected == 1.0
    assert not comparison.significant


def test_holm_as_published():
    """The example of Holm's method: each p times how many are left, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(chances):
    corrected = holm(chances)
    assert all(mine >= given for mine, given in zip(corrected, chances, strict=True))
    order = sorted(range(len(chances)), key=chances.__getitem__)
    assert all(corrected[a] <= corrected[b] for a, b in pairwise(order))


def test_all_pairs_are_corrected_together(few_draws):
    random = np.random.default_rng(6)
    base, units = clustered(random)
    systems = {"a": base, "b": base + random.normal(0, 0.1, len(base)), "c": base + 0.5}
    comparisons = compare_all(systems, units)
    assert [(one.first, one.second) for one in comparisons] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one.corrected for one in comparisons] == holm([one.p for one in comparisons])
    assert compare_all(systems, units, pairs=[]) == []


def test_nothing_is_estimated_from_nothing():
    with pytest.raises(InputError, match="no questions"):
        estimated(np.array([]), np.array([], dtype=np.intp))
