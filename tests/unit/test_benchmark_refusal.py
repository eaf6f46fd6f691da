"""The benchmark counts refusals rightly, and fails where a goal is missed."""

from __future__ import annotations

import json

import pytest
from benchmarks import refusal
from benchmarks.refusal import Refused, measure, read_halves, report
from rich.console import Console

from trivec.answers import evidence
from trivec.answers.evidence import Measured
from trivec.testing import FakeEncoder

TOPICS = ("green tea leaves", "sleeping cat sofa", "exploding star light", "steam engine piston")


@pytest.fixture
def corpus(tmp_path):
    def article(topic: str) -> dict:
        questions = [{"question": f"{topic}?", "id": topic}]
        return {"paragraphs": [{"context": f"about {topic} here", "qas": questions}]}

    path = tmp_path / "xquad.en.json"
    path.write_text(json.dumps({"data": [article(topic) for topic in TOPICS]}), "utf-8")
    return path


def test_articles_are_dealt_out_by_turns(corpus):
    first, second = read_halves(corpus)
    assert first.questions == ("green tea leaves?", "exploding star light?")
    assert second.paragraphs == ("about sleeping cat sofa here", "about steam engine piston here")


@pytest.mark.parametrize(
    ("threshold", "answerable", "unanswerable"),
    [(0.5, 0.0, 1.0), (-1.0, 0.0, 0.0), (1.1, 1.0, 1.0)],
)
def test_shares_are_those_that_the_threshold_refuses(
    corpus, monkeypatch, threshold, answerable, unanswerable
):
    encoder = FakeEncoder()
    monkeypatch.setattr(
        evidence, "MEASURED", {encoder.info.weights: Measured(threshold, threshold, 0.0)}
    )
    row = measure("en", read_halves(corpus), encoder, questions=2)
    assert (row.answerable, row.unanswerable) == (answerable, unanswerable)
    assert row.questions == (2, 2)


@pytest.mark.parametrize(
    ("answerable", "unanswerable", "code"), [(0.05, 0.95, 0), (0.06, 1.0, 1), (0.0, 0.94, 1)]
)
def test_a_missed_goal_fails(monkeypatch, answerable, unanswerable, code):
    rows = [Refused("xquad.zh", (100, 100), answerable, unanswerable)]
    monkeypatch.setattr(refusal, "run", lambda *_: rows)
    assert refusal.main([]) == code
    console = Console(record=True, width=100)
    report(rows, console)
    assert f"{unanswerable:.1%}" in console.export_text()


def test_a_model_without_a_threshold_is_not_measured(monkeypatch, corpus):
    monkeypatch.setattr(refusal, "load_encoder", lambda _: FakeEncoder())
    with pytest.raises(SystemExit, match="no threshold was measured"):
        refusal.run(corpus.parent, model="fake")
