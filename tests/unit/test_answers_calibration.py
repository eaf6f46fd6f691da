"""Thresholds chosen on labelled questions, and what they are said to reach."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import Chunk, HybridIndex, RagOptions, RagPipeline
from trivec.answers import calibrate
from trivec.answers.calibration import LabelledQuestion, choose_threshold
from trivec.errors import InputError
from trivec.testing import FakeEncoder, MemoryStore

SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
LABELS = [True, True, True, False, True, False, False, False]


def test_the_highest_that_refuses_few_enough_answerable():
    found = choose_threshold(SCORES, LABELS, refused_answerable=0.0)
    assert found.threshold == pytest.approx(0.45)
    assert (found.refused_answerable, found.refused_unanswerable) == (0.0, 0.75)
    assert found.precision == pytest.approx(4 / 5)
    assert (found.answerable, found.unanswerable) == (4, 4)
    found = choose_threshold(SCORES, LABELS, refused_answerable=0.25)
    assert found.threshold == pytest.approx(0.65)
    assert (found.refused_answerable, found.refused_unanswerable) == (0.25, 1.0)
    assert choose_threshold(SCORES, LABELS, refused_answerable=1.0).threshold > 0.9


def test_the_lowest_that_refuses_enough_unanswerable():
    found = choose_threshold(SCORES, LABELS, refused_unanswerable=0.75)
    assert found.threshold == pytest.approx(0.45)
    assert choose_threshold(SCORES, LABELS, refused_unanswerable=1.0).threshold == pytest.approx(
        0.65
    )


def test_the_lowest_of_the_wished_precision():
    assert choose_threshold(SCORES, LABELS, precision=0.8).threshold == pytest.approx(0.45)
    assert choose_threshold(SCORES, LABELS, precision=1.0).precision == 1.0
    assert choose_threshold(SCORES, LABELS, precision=0.0).refused_answerable == 0.0


def test_a_question_that_finds_nothing_is_refused_whatever_the_threshold():
    found = choose_threshold([-math.inf, 0.5, 0.4], [False, True, False], refused_answerable=0.0)
    assert found.refused_unanswerable == 1.0
    with pytest.raises(InputError, match="find nothing"):
        choose_threshold([-math.inf, 0.5], [True, False], refused_answerable=0.1)


@pytest.mark.parametrize(
    "goals",
    [{}, {"precision": 1.1}, {"precision": 0.5, "refused_answerable": 0.1}, {"precision": -0.1}],
)
def test_exactly_one_goal(goals):
    with pytest.raises(InputError, match="exactly one"):
        choose_threshold(SCORES, LABELS, **goals)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1], [True], "some of both"),
        ([0.1, 0.2], [True], "1 labels"),
        ([0.1, math.nan], [True, False], "NaN"),
        ([-math.inf] * 2, [True, False], "found anything"),
    ],
)
def test_what_cannot_be_calibrated(scores, labels, message):
    with pytest.raises(InputError, match=message):
        choose_threshold(scores, labels, precision=0.5)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), st.booleans()), min_size=2),
    st.floats(0, 1),
)
def test_the_figures_are_what_the_threshold_does(rows, goal):
    scores, labels = [score for score, _ in rows], [label for _, label in rows]
    if len(set(labels)) < 2:
        return
    for wish in ("refused_answerable", "refused_unanswerable"):
        found = choose_threshold(scores, labels, **{wish: goal})
        refused = [score < found.threshold for score in scores]
        good = [each for each, label in zip(refused, labels, strict=True) if label]
        bad = [each for each, label in zip(refused, labels, strict=True) if not label]
        assert found.refused_answerable == pytest.approx(sum(good) / len(good))
        assert found.refused_unanswerable == pytest.approx(sum(bad) / len(bad))
        if wish == "refused_answerable":
            assert found.refused_answerable <= goal
        else:
            assert found.refused_unanswerable >= goal


def test_a_pipeline_is_calibrated_without_a_chat_model():
    index = HybridIndex.open(MemoryStore(), FakeEncoder())
    index.add([Chunk("green tea is a warm drink from China"), Chunk("the cat sleeps on the sofa")])
    questions = [
        LabelledQuestion("is green tea a warm drink?", answerable=True),
        LabelledQuestion("where sleeps the cat?", answerable=True),
        LabelledQuestion("quantum chromodynamics?", answerable=False),
        LabelledQuestion("which stars explode?", answerable=False),
    ]
    found = calibrate(RagPipeline(index, None), questions, refused_answerable=0.0)
    assert (found.refused_answerable, found.refused_unanswerable) == (0.0, 1.0)
    strict = RagPipeline(index, None, options=RagOptions(min_evidence=found.threshold))
    weak = [strict.find(question.text).evidence.is_weak for question in questions]
    assert weak == [False, False, True, True]
