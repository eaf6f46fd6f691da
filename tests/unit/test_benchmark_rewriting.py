"""The rewriting benchmark measures what it claims to measure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks import rewriting
from benchmarks.quality import Corpus

from trivec import Chunk, HybridIndex, QueryText, SearchOptions
from trivec.testing import FakeEncoder, MemoryStore

CHUNKS = (Chunk("alpha beta", id="a"), Chunk("gamma delta", id="g"), Chunk("omega psi", id="o"))
CORPUS = Corpus("tiny", CHUNKS, {"1": "xyz", "2": "omega"}, {"1": "g", "2": "o"})
LEXICAL = SearchOptions(arms=("bm25",))


@pytest.fixture
def index():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as opened:
        opened.add(CHUNKS)
        yield opened


def test_what_is_searched_for_decides(index):
    alone = rewriting.measure(index, CORPUS, "alone", lambda question: question, LEXICAL)
    assert (alone.recall_at_1, alone.recall_at_5, alone.ndcg_at_10) == (0.5, 0.5, 0.5)
    assert alone.rewritten == 0

    def reworded(question):
        words = {"xyz": "gamma"}.get(question)
        return [QueryText(question), QueryText(words)] if words else [QueryText(question)]

    better = rewriting.measure(index, CORPUS, "reworded", reworded, LEXICAL)
    assert (better.recall_at_1, better.recall_at_5, better.ndcg_at_10) == (1, 1, 1)
    assert better.rewritten == 0.5


def test_the_sample_is_always_the_same():
    few = rewriting.sampled(CORPUS, 1)
    assert len(few.questions) == 1
    assert few == rewriting.sampled(CORPUS, 1)
    assert few.chunks == CHUNKS
    assert rewriting.sampled(CORPUS, 9).questions == CORPUS.questions


def row(name, mode, **figures) -> rewriting.Measurement:
    ordinary = rewriting.Measurement(name, mode, 10, 0.2, 0.5, 0.9, 1.0)
    return replace(ordinary, **figures)


@pytest.mark.parametrize(
    ("rows", "missed"),
    [
        ([row("domain gap, zh, report", rewriting.BY_CORPUS, recall_at_5=0.9)], 0),
        ([row("domain gap, zh, report", rewriting.BY_CORPUS, recall_at_5=0.45)], 0),
        ([row("domain gap, zh, report", rewriting.BY_CORPUS, recall_at_5=0.4)], 1),
        ([row("domain gap, zh, choose", rewriting.BY_CORPUS, recall_at_5=0.1)], 0),
        ([row("domain gap, zh, report", rewriting.BY_MODEL, recall_at_5=0.1)], 0),
        ([row("xquad.en", rewriting.BY_CORPUS, ndcg_at_10=0.895)], 0),
        ([row("xquad.en", rewriting.BY_CORPUS, ndcg_at_10=0.85)], 1),
        ([row("xquad.en", rewriting.BY_MODEL, ndcg_at_10=0.885)], 0),
        ([row("xquad.en", rewriting.BY_MODEL, ndcg_at_10=0.85)], 1),
        ([row("xquad.en", rewriting.DENSE, ndcg_at_10=0.5)], 0),
    ],
)
def test_goals_are_about_reported_questions(rows, missed):
    alone = [row(each.name, rewriting.ALONE) for each in rows]
    assert len(rewriting.missed_goals([*alone, *rows])) == missed
