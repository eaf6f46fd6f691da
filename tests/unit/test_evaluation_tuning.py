"""What is chosen on one half is judged on the other, and chance is no gain."""

from __future__ import annotations

from random import Random

import pytest

from trivec import HybridIndex, IndexConfig
from trivec.errors import InputError
from trivec.evaluation import (
    Costs,
    Dataset,
    Evaluation,
    Question,
    QuestionResult,
    System,
    SystemResult,
    split_by_document,
    tune,
    tuning,
)
from trivec.testing import FakeEncoder, MemoryStore


def dataset(documents=40, each=5) -> Dataset:
    questions = [
        Question(f"q{number}-{at}", "?", {"p": 1}, f"d{number}")
        for number in range(documents)
        for at in range(each)
    ]
    return Dataset("made up", (), tuple(questions))


@pytest.fixture
def index():
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as opened:
        yield opened


@pytest.fixture
def asked(monkeypatch):
    """Systems find by a rate of their own; what was asked of which questions is kept."""
    runs: list[tuple[str, set[str]]] = []

    def use(rate_of):
        def evaluate(data, _index, systems, _options, **_):
            return Evaluation(data, tuple(found(data, one) for one in systems), Costs(passages=1))

        def found(data, system):
            runs.append((str(system), {question.document for question in data.questions}))
            random = Random(str(system))  # noqa: S311  # no secret
            results = tuple(
                QuestionResult(
                    one.id, ("p",) if random.random() < rate_of(system) else ("x",), (0.5,)
                )
                for one in data.questions
            )
            return SystemResult(str(system), system, results)

        monkeypatch.setattr(tuning, "evaluate", evaluate)
        return runs

    return use


def test_a_real_gain_is_found_and_judged_by_others(index, asked):
    runs = asked(lambda system: 0.9 if system.search.fusion == "rrf" else 0.5)
    found = tune(dataset(), index)
    assert found.gained
    assert found.system.search.fusion == "rrf"
    assert found.verdict.comparison.first == str(found.system)
    (chosen_by,) = {frozenset(documents) for _, documents in runs[:-2]}
    (judged_by,) = {frozenset(documents) for _, documents in runs[-2:]}
    assert not chosen_by & judged_by
    assert {system for system, _ in runs[-2:]} == {found.verdict.comparison.first, str(System())}


def test_chance_is_no_gain(index, asked):
    asked(lambda _: 0.5)
    found = tune(dataset(), index)
    assert not found.gained
    assert found.system == System()
    assert str(found).startswith("no gain: ")
    assert len(found.trials) > 10  # of so many some are better by chance


def test_nothing_better_is_no_gain(index, asked):
    asked(lambda system: 1.0 if system == System() else 0.2)
    found = tune(dataset(), index)
    assert (found.system, found.verdict) == (System(), None)
    assert "nothing is better than" in str(found)


def test_colbert_and_a_rerankers_mix_are_tried(index, asked):
    runs = asked(lambda _: 0.5)
    tune(dataset(), index, System(reranker="mini"))
    tried = {system for system, _ in runs}
    assert any("colbert=fuse" in system for system in tried)
    assert any("weight=2" in system for system in tried)
    assert any("prefetch=200" in system for system in tried)
    assert any("dense>0.5" in system for system in tried)


def test_halves_that_are_given(index, asked):
    runs = asked(lambda system: 0.9 if system.search.fusion == "rrf" else 0.5)
    whole = dataset()
    names = sorted({question.document for question in whole.questions})
    choosing, judging = (whole.of_documents(names[at::2]) for at in (0, 1))
    found = tune(choosing, index, held_out=judging)
    assert (found.chosen_by, found.held_out) == (100, 100)
    assert set().union(*(documents for _, documents in runs[-2:])) == set(names[1::2])
    with pytest.raises(InputError, match="both halves"):
        tune(whole, index, held_out=judging)
    with pytest.raises(InputError, match="a half has 5 questions"):
        tune(choosing, index, held_out=whole.of_documents(names[1:2]))


@pytest.mark.parametrize("seed", range(5))
def test_halves_share_no_document(seed):
    first, second = split_by_document(dataset(documents=31), seed=seed)
    of_first, of_second = (
        {question.document for question in half.questions} for half in (first, second)
    )
    assert not of_first & of_second
    assert len(of_first | of_second) == 31
    assert abs(len(first.questions) - len(second.questions)) <= 5
    assert first.digest() != split_by_document(dataset(documents=31), seed=seed + 1)[0].digest()


def test_too_few_to_tell():
    with pytest.raises(InputError, match="give more documents"):
        split_by_document(dataset(documents=1, each=100))
    with pytest.raises(InputError, match="give more documents"):
        split_by_document(dataset(documents=7))
