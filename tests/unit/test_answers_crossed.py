"""Evidence where the passages are in another language than the question."""

from __future__ import annotations

import pytest

from trivec.answers import evidence
from trivec.answers.background import BACKGROUND
from trivec.answers.evidence import Judge, Measured, is_crossed
from trivec.answers.options import AnswerOptions
from trivec.answers.standards import Standards
from trivec.answers.turn import Answerer
from trivec.answers.types import Evidence
from trivec.testing import FakeEncoder

ENGLISH, CHINESE = BACKGROUND["en"], BACKGROUND["zh"]
GERMAN = (
    "Der Hafen wurde im neunzehnten Jahrhundert erweitert und die Bank ändert den Zins.",
    "Die Katze schläft auf dem Sofa, während der Hund im Park nach einem Stock sucht.",
)


@pytest.mark.parametrize(
    ("question", "passages", "expected"),
    [
        ("When was the harbour of the town enlarged?", ENGLISH, False),
        ("What is the name of the planet that is farthest from the sun?", ENGLISH, False),
        ("港口是什么时候扩建的？", ENGLISH, True),
        ("港口是什么时候扩建的？", CHINESE, False),
        ("When was the harbour enlarged?", CHINESE, True),
        ("Wann wurde der Hafen erweitert?", ENGLISH, True),
        ("When was the harbour enlarged?", GERMAN, False),  # too few words to tell
        ("12:30?", ENGLISH, False),
        ("When?", (), False),
    ],
)
def test_passages_in_another_language_share_hardly_a_word(question, passages, expected):
    assert is_crossed(question, passages) is expected


@pytest.fixture
def measured(monkeypatch):
    encoder = FakeEncoder()
    monkeypatch.setattr(evidence, "MEASURED", {encoder.info.weights: Measured(0.5, 0.2, 0.3)})
    return encoder


def test_the_threshold_between_two_languages_is_its_own(measured):
    standards = Standards.of(AnswerOptions(), measured)
    assert standards.least_evidence("When was the harbour enlarged?", ENGLISH) == 0.5
    assert standards.least_evidence("港口是什么时候扩建的？", ENGLISH) == 0.2


@pytest.mark.parametrize("given", [0.7, None])
def test_a_threshold_of_ones_own_holds_in_every_language(measured, given):
    standards = Standards.of(AnswerOptions(min_evidence=given), measured)
    assert standards.least_evidence("When was the harbour enlarged?", ENGLISH) == given
    assert standards.least_evidence("港口是什么时候扩建的？", ENGLISH) == given


def test_the_lead_decides_between_two_languages_alone(monkeypatch):
    encoder = FakeEncoder()
    monkeypatch.setattr(
        evidence, "MEASURED", {encoder.info.weights: Measured(0.5, 0.2, 0.3, lead=0.1)}
    )
    standards = Standards.of(AnswerOptions(), encoder)
    assert standards.least_lead("港口是什么时候扩建的？", ENGLISH) == 0.1
    assert standards.least_lead("When was the harbour enlarged?", ENGLISH) is None
    own = Standards.of(AnswerOptions(min_evidence=0.4), encoder)
    assert own.least_lead("港口是什么时候扩建的？", ENGLISH) is None


def test_the_lead_is_how_far_the_best_lies_above_the_later_passages():
    judge = Judge(FakeEncoder())
    question, others = "tower height", [f"nothing {n} here" for n in range(5)]
    even = judge.lead(question, others + others[:1])
    leading = judge.lead(question, ["the tower height is known", *others])
    assert leading > even
    assert judge.lead(question, others) is None  # two come later: too few


@pytest.mark.parametrize(
    ("found", "weak"),
    [
        (Evidence(0.1, 0.2), True),
        (Evidence(0.1, 0.2, 0.5, 0.3), False),  # the lead decides
        (Evidence(0.9, 0.2, 0.1, 0.3), True),
        (Evidence(0.9, 0.2, 0.1), False),
    ],
)
def test_where_there_is_a_least_lead_it_decides(found, weak):
    assert found.is_weak is weak


@pytest.mark.parametrize(("least", "refused"), [(0.9, True), (-0.9, False)])
def test_an_answer_between_two_languages_is_refused_by_the_lead(monkeypatch, least, refused):
    encoder = FakeEncoder()
    monkeypatch.setattr(
        evidence, "MEASURED", {encoder.info.weights: Measured(-9.0, -9.5, 0.3, lead=least)}
    )
    passages = [*ENGLISH, *ENGLISH][:8]
    turn = Answerer(AnswerOptions(), encoder=encoder).begin("港口是什么时候扩建的？", passages)
    assert turn.evidence.lead is not None
    assert (turn.refused is not None) is refused
