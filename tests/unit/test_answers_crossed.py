"""Evidence where the passages are in another language than the question."""

from __future__ import annotations

import pytest

from trivec.answers import evidence
from trivec.answers.background import BACKGROUND
from trivec.answers.evidence import Measured, is_crossed
from trivec.answers.options import AnswerOptions
from trivec.answers.standards import Standards
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
