"""The quality benchmark reads SQuAD shapes and scores what it claims to score."""

from __future__ import annotations

import json

import pytest
from benchmarks import quality

from trivec import SearchOptions
from trivec.testing import FakeEncoder

TEXTS = ["alpha beta gamma delta", "猴面包树 的 果实", "rivers run to the wide sea"]


def squad(path, answers):
    """Write a file whose question number i repeats text i but belongs to paragraph answers[i]."""
    paragraphs = [
        {
            "context": text,
            "qas": [
                {"question": TEXTS[asked], "id": str(asked)}
                for asked, answer in enumerate(answers)
                if answer == number
            ],
        }
        for number, text in enumerate(TEXTS)
    ]
    data = {"data": [{"title": "one", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("answers", "expected"), [((0, 1, 2), 1.0), ((1, 2, 0), 0.0)], ids=["right", "wrong"]
)
def test_recall_follows_the_relevance_judgements(tmp_path, answers, expected):
    squad(tmp_path / "tiny.json", answers)
    (corpus,) = quality.read_corpora(tmp_path)
    variants = {"bm25": SearchOptions(arms=("bm25",)), "dense": SearchOptions(arms=("dense",))}
    rows = quality.evaluate(corpus, FakeEncoder(), variants)
    assert [(row.corpus, row.variant) for row in rows] == [("tiny", "bm25"), ("tiny", "dense")]
    assert [row.recall_at_1 for row in rows] == [expected, expected]


def test_questions_are_encoded_once_for_all_variants(tmp_path):
    squad(tmp_path / "tiny.json", (0, 1, 2))
    (corpus,) = quality.read_corpora(tmp_path)
    variants = {name: SearchOptions(arms=(name,)) for name in ("dense", "sparse", "colbert")}
    quality.evaluate(corpus, encoder := FakeEncoder(), variants)
    assert encoder.calls == 2  # the questions, the paragraphs


def test_paragraphs_with_the_same_text_are_one_document(tmp_path):
    twins = [{"context": "same", "qas": [{"question": f"q{n}", "id": str(n)}]} for n in range(2)]
    (tmp_path / "twins.json").write_text(
        json.dumps({"data": [{"title": "t", "paragraphs": twins}]}), encoding="utf-8"
    )
    (corpus,) = quality.read_corpora(tmp_path)
    assert len(corpus.chunks) == 1
    assert set(corpus.answers.values()) == {corpus.chunks[0].id}


def test_the_shipped_corpora_are_whole():
    sizes = {
        corpus.name: (len(corpus.chunks), len(corpus.questions))
        for corpus in quality.read_corpora(quality.SHIPPED)
    }
    assert sizes == {"xquad.en": (240, 1190), "xquad.zh": (240, 1190)}


def test_a_goal_that_is_missed_is_named():
    row = quality.Measurement("xquad.zh", "sparse", 0.9, 0.8, 1.0)
    assert quality.missed_goals([row]) == ["xquad.zh, sparse: nDCG@10 0.9000, goal 0.955"]
    reached = quality.Measurement("xquad.zh", "sparse", 0.96, 0.9, 1.0)
    assert quality.missed_goals([reached]) == []
