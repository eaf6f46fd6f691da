"""The benchmark of robustness compares with the best arm, and names every goal that is missed."""

from __future__ import annotations

import json

import pytest
from benchmarks import robust
from benchmarks.quality import Corpus
from rich.console import Console

from trivec import Chunk
from trivec.testing import FakeEncoder


def row(name, mode, ndcg, recall=1.0):
    return robust.Measurement(name, mode, 10, 1.0, recall, ndcg, 0.0)


def rows(name="c", default=0.9, fused=0.9, colbert=0.5, recall=1.0):
    alone = {"dense": 0.9, "sparse": 0.5, "bm25": 0.4, "colbert": colbert, "before: dbsf": 0.7}
    return [
        *(row(name, mode, value) for mode, value in alone.items()),
        row(name, robust.DEFAULT, default, recall),
        row(name, robust.WITH_COLBERT, fused),
    ]


def test_the_default_may_lie_a_little_below_its_best_arm():
    assert robust.missed_goals(rows(default=0.8951)) == []
    assert robust.missed_goals(rows(default=0.894)) == ["c, default: 0.0060 below its best arm"]


def test_with_colbert_it_is_compared_with_colbert_too():
    assert robust.missed_goals(rows(fused=0.9, colbert=0.92)) == [
        "c, default, ColBERT fused: 0.0200 below its best arm"
    ]


def test_goals_of_their_own_are_named():
    missed = robust.missed_goals(rows("domain gap, zh, report", recall=0.7))
    assert missed == ["domain gap, zh, report, default: recall@5 0.7000, goal 0.8"]


def test_every_reported_collection_is_whole():
    sizes = {
        corpus.name: (len(corpus.chunks), len(corpus.questions))
        for corpus in robust.read_reported()
    }
    assert sizes["zh questions, en passages"] == (240, 1190)
    halves = [size for name, size in sizes.items() if "half of the passages" in name]
    assert [passages for passages, _ in halves] == [240, 240]
    assert sum(questions for _, questions in halves) == 1190
    known = {(name, variant) for name in sizes for variant in robust.VARIANTS}
    assert set(robust.GOALS) <= known


def test_what_was_chosen_on_is_read_as_far_as_it_is_there(tmp_path):
    assert all("choose" in corpus.name for corpus in robust.read_chosen(tmp_path))
    paper = {
        "context": "a" * 1500 + " answer",
        "qas": [{"question": "q?", "answers": [{"text": "answer", "answer_start": 1501}]}],
    }
    data = {"data": [{"paragraphs": [paper]}]}
    (tmp_path / robust.COVID).write_text(json.dumps(data), encoding="utf-8")
    corpus = robust.read_chosen(tmp_path)[0]
    assert [len(chunk.text) for chunk in corpus.chunks] == [1000, 507]
    assert corpus.answers == {"q0": "p1"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_measures_and_prints_every_variant(monkeypatch):
    texts = ("alpha beta gamma", "猴面包树 的 果实", "rivers run to the wide sea")
    chunks = tuple(Chunk(text, id=f"p{n}") for n, text in enumerate(texts))
    asked = {f"q{n}": text for n, text in enumerate(texts)}
    corpus = Corpus("tiny", chunks, asked, {f"q{n}": f"p{n}" for n in range(3)})
    measured = robust.run([corpus], FakeEncoder())
    assert [(each.name, each.mode) for each in measured] == [("tiny", v) for v in robust.VARIANTS]
    assert robust.missed_goals(measured) == []
    console = Console(record=True, width=200)
    robust.report(measured, console)
    assert "tiny" in console.export_text()
    monkeypatch.setattr(robust, "load_encoder", lambda _: FakeEncoder())
    monkeypatch.setattr(robust, "read_reported", lambda: [corpus])
    assert robust.main(["--questions", "2"]) == 0
