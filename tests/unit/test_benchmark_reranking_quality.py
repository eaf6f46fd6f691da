"""The reranking benchmark: its reading of relevance, its scores and its goals, without a model."""

from __future__ import annotations

import json

import pytest
from benchmarks.reranking_quality import (
    BEFORE,
    MIXED,
    Once,
    Row,
    _measure,
    missed_goals,
    read_corpus,
)

from trivec import Chunk, Hit


@pytest.fixture
def file(tmp_path):
    def paragraph(name, questions):
        return {"context": name, "qas": [{"question": question} for question in questions]}

    articles = [
        {"paragraphs": [paragraph("rivers", ["q a", "q b"]), paragraph("seas", ["q c"])]},
        {"paragraphs": [paragraph("cars", ["q d"])]},
    ]
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps({"data": articles}), encoding="utf-8")
    return path


def test_a_paragraph_of_the_same_article_is_half_as_relevant(file):
    corpus = read_corpus(file)
    assert [chunk.text for chunk in corpus.chunks] == ["rivers", "seas", "cars"]
    assert list(corpus.questions.values()) == ["q a", "q b", "q c", "q d"]
    assert list(corpus.own.values()) == [{"p0": 1}, {"p0": 1}, {"p1": 1}, {"p2": 1}]
    assert corpus.graded["q0"] == {"p0": 2, "p1": 1}
    assert corpus.graded["q2"] == {"p0": 1, "p1": 2}
    assert corpus.graded["q3"] == {"p2": 2}


def test_a_sample_is_the_same_every_time(file):
    sample = read_corpus(file, questions=2)
    assert len(sample.questions) == len(sample.own) == len(sample.graded) == 2
    assert sample.questions == read_corpus(file, questions=2).questions


def test_an_order_is_scored_as_it_stands(file):
    corpus = read_corpus(file)
    found = [Hit(Chunk("x", id=identity), 1.0) for identity in ("p0", "p1", "p2")]
    hits = dict.fromkeys(corpus.questions, found)
    row = _measure(corpus, "as found", lambda _, hits: [hit.id for hit in hits], hits)
    # ranks 1, 1, 2, 3
    assert row.own == pytest.approx((1 + 1 + 0.63093 + 0.5) / 4, abs=1e-4)
    assert row.own < row.graded < 1


def test_scores_are_computed_once():
    class Counting:
        calls = 0

        def score(self, query, passages):  # noqa: ARG002  # the protocol's
            self.calls += 1
            return [1.0] * len(passages)

    counting = Counting()
    once = Once(counting)
    assert once.score("q", ["a", "b"]) == once.score("q", ["a", "b"]) == [1.0, 1.0]
    assert counting.calls == 1


def test_a_mixed_order_that_does_not_beat_the_hybrid_is_a_missed_goal():
    rows = [Row("xquad.en", BEFORE, 0.98, 0.9), Row("xquad.en", "mini", 0.5, 0.9)]
    assert missed_goals([*rows, Row("xquad.en", MIXED, 0.981, 0.9)]) == []
    (line,) = missed_goals([*rows, Row("xquad.en", MIXED, 0.98, 0.95)])
    assert "xquad.en" in line
    assert "0.9800" in line
