"""A sample of the user's own index: the same seed draws the same, a failure loses one passage."""

from __future__ import annotations

import json

import pytest

from trivec import Chunk, HybridIndex, QuestionIndex
from trivec.errors import InputError, ModelError
from trivec.evaluation import System, evaluate, read_dataset, sample_dataset, save_questions
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ChatReply

PASSAGES = [Chunk(f"passage number {at}", id=f"p{at}", source=f"s{at // 4}") for at in range(40)]


@pytest.fixture
def index():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as opened:
        opened.add(PASSAGES)
        yield opened


class Asker:
    """Asks for the number; fails on passages that it is told to."""

    def __init__(self, failing=()):
        self.failing = failing

    def chat(self, messages, **_):
        text = messages[-1]["content"]
        if any(f"number {at}" in text for at in self.failing):
            raise ModelError("overloaded")
        number = text.split("passage number ")[1].split()[0].strip("<")
        return ChatReply(json.dumps({"questions": [f"which passage is number {number}?"]}))

    def stream(self, messages):
        yield self.chat(messages)


def test_each_passage_has_a_question_and_is_found(index, tmp_path):
    dataset = sample_dataset(index, Asker(), 12)
    assert len(dataset.questions) == 12
    assert {one.document for one in dataset.questions} <= {chunk.source for chunk in PASSAGES}
    scores = evaluate(dataset, index, [System.from_text("bm25")]).figures("R@1")["bm25"]
    assert scores.mean() == 1.0
    save_questions(dataset, tmp_path / "sample.csv")
    again = read_dataset(tmp_path / "sample.csv")
    assert [(one.text, one.relevant, one.document) for one in again.questions] == [
        (one.text, one.relevant, one.document) for one in dataset.questions
    ]


def test_the_seed_draws(index):
    drawn = [
        [
            key
            for one in sample_dataset(index, Asker(), 12, seed=seed).questions
            for key in one.relevant
        ]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_failure_is_one_passage_and_ten_end_it(index, caplog):
    first = sample_dataset(index, Asker(), 40).questions
    lost = [int(key[1:]) for key in first[3].relevant]
    dataset = sample_dataset(index, Asker(failing=lost), 40)
    assert len(dataset.questions) == 39
    assert "overloaded" in caplog.text
    with pytest.raises(ModelError, match="overloaded"):
        sample_dataset(index, Asker(failing=range(40)), 5)


def test_questions_that_the_index_has(index):
    with QuestionIndex.open(index) as questions:
        with pytest.raises(InputError, match="no passage of the index has a question"):
            sample_dataset(index, questions, 3)
        questions.add({"p3": ["what is three?", "what is 3?"], "p9": ["what is nine?"]})
        dataset = sample_dataset(index, questions, 3)
    assert sorted(key for one in dataset.questions for key in one.relevant) == ["p3", "p9"]
    with pytest.raises(InputError, match="count"):
        sample_dataset(index, questions, 0)
