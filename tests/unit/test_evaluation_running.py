"""A run encodes once, goes on where it ended, and loses nothing to a failure."""

from __future__ import annotations

import json

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import InputError, ModelError
from trivec.evaluation import (
    Dataset,
    EvaluationOptions,
    Question,
    System,
    default_systems,
    evaluate,
    failures,
    joined,
    overlaps,
    separation,
    slices,
)
from trivec.testing import FakeEncoder, MemoryStore

ARMS = ("dense", "sparse", "bm25", "colbert")
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")


def dataset() -> Dataset:
    """Each question names two words of its passage; the last passage is not in the index."""
    passages = tuple(
        Chunk(f"the {word} of {other} is here", id=f"p{at}", source=f"s{at}")
        for at, (word, other) in enumerate(zip(WORDS, WORDS[3:] + WORDS[:3], strict=True))
    )
    questions = tuple(
        Question(f"q{at}", chunk.text.split(" is")[0], {chunk.id: 1}, chunk.source)
        for at, chunk in enumerate(passages)
    )
    lost = Question("lost", "alpha of omega", {"gone": 1}, "s99")
    return Dataset("tiny", passages, (*questions, lost))


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def index(encoder):
    config = IndexConfig(arms=ARMS)
    with HybridIndex.open(MemoryStore(), encoder, config=config) as opened:
        opened.add(dataset().passages)
        yield opened


def systems(index):
    return default_systems(index.schema)


def test_every_text_is_encoded_once(index, encoder):
    before = encoder.calls
    evaluation = evaluate(
        dataset(), index, [*map(System.from_text, ("dense", "colbert", "hybrid"))]
    )
    alone = len(dataset().questions)  # once more each, to see what a single one takes
    assert encoder.calls - before == 1 + alone
    assert evaluation.names == ("dense", "colbert", f"hybrid, {System().search.fusion}")
    assert evaluation.costs.passages == 10


def test_figures_follow_what_was_found(index):
    evaluation = evaluate(dataset(), index, [System.from_text("bm25")])
    scores = evaluation.figures("R@1")["bm25"]
    assert scores.tolist() == [1.0] * 10 + [0.0]
    estimate = evaluation.estimates("R@1")["bm25"]
    assert estimate.mean == pytest.approx(10 / 11)
    assert estimate.low <= estimate.mean <= estimate.high
    assert evaluation.drawn_by == "document"
    assert evaluation.missing == {"gone"}
    assert failures(evaluation, "bm25") == {"not in the index": [10]}
    assert evaluation.texts["p0"] == "the alpha of delta is here"


def test_a_reranker_orders_what_was_found(index):
    class Backwards:
        def score(self, _query, passages):
            return [float(at) for at in range(len(passages))]

    options = EvaluationOptions(rerankers={"back": Backwards()}, depth=5)
    names = ("hybrid", "hybrid, rerank=back, candidates=5")
    plain, turned = evaluate(dataset(), index, [*map(System.from_text, names)], options).systems
    assert turned.results[0].ids == plain.results[0].ids[::-1]
    assert set(turned.latencies()) == {"search", "rerank", "all"}


def test_a_rewriter_of_the_corpus_and_one_that_is_missing(index):
    names = ("hybrid, rewrite=corpus", "hybrid, rewrite=chat", "hybrid, questions", "hybrid")
    evaluation = evaluate(dataset(), index, [*map(System.from_text, names)])
    corpus, chat, questions, plain = evaluation.systems
    assert not corpus.error
    assert "rewrite" in corpus.latencies()
    assert "needs a chat model" in chat.error
    assert "no questions yet" in questions.error
    assert evaluation.figures()[chat.name].sum() == 0
    assert not plain.error


def test_one_failure_is_one_question(index, monkeypatch):
    search = HybridIndex.search

    def failing(self, query, *arguments, **settings):
        if query.text == dataset().questions[3].text:
            raise ModelError("no memory")
        return search(self, query, *arguments, **settings)

    monkeypatch.setattr(HybridIndex, "search", failing)
    evaluation = evaluate(dataset(), index, [System.from_text("dense")])
    (system,) = evaluation.systems
    assert [one.question for one in system.failed] == ["q3"]
    assert system.failed[0].error == "ModelError: no memory"
    assert evaluation.figures("R@1")["dense"][3] == 0
    assert failures(evaluation, "dense")["search failed"] == [3]


def test_a_system_that_fails_throughout_is_given_up(index, monkeypatch):
    asked = []

    def failing(*_, **__):
        asked.append(1)
        raise ModelError("gone")

    monkeypatch.setattr(HybridIndex, "search", failing)
    counted = []
    options = EvaluationOptions(max_failures=3)
    evaluation = evaluate(
        dataset(), index, [System.from_text("dense")], options, progress=counted.append
    )
    assert len(asked) == 3
    assert "3 questions in a row failed" in evaluation.systems[0].error
    assert sum(counted) == len(dataset().questions)


def test_a_run_goes_on_where_it_ended(index, encoder, tmp_path, monkeypatch):
    options = EvaluationOptions(folder=tmp_path / "run")
    chosen = [*map(System.from_text, ("dense", "bm25"))]
    whole = evaluate(dataset(), index, chosen, options)
    (dense,) = (tmp_path / "run").glob("dense.*.jsonl")
    lines = dense.read_text().splitlines()
    dense.write_text("\n".join([*lines[:4], lines[4][:20]]))  # as a kill leaves it
    asked = []
    search = HybridIndex.search

    def counting(self, query, *arguments, **settings):
        asked.append(query)
        return search(self, query, *arguments, **settings)

    monkeypatch.setattr(HybridIndex, "search", counting)
    again = evaluate(dataset(), index, chosen, options)
    assert len(asked) == len(dataset().questions) - 3
    assert [(one.name, [found.ids for found in one.results]) for one in again.systems] == [
        (one.name, [found.ids for found in one.results]) for one in whole.systems
    ]
    calls = encoder.calls
    assert evaluate(dataset(), index, chosen, options).costs == again.costs
    assert encoder.calls == calls  # all is known: nothing is encoded
    assert len(asked) == len(dataset().questions) - 3


def test_another_dataset_begins_anew(index, tmp_path, caplog):
    options = EvaluationOptions(folder=tmp_path)
    evaluate(dataset(), index, [System.from_text("bm25")], options)
    other = Dataset("other", dataset().passages, dataset().questions[:4])
    evaluation = evaluate(other, index, [System.from_text("bm25")], options)
    assert "begun anew" in caplog.text
    assert len(evaluation.systems[0].results) == 4
    (file,) = tmp_path.glob("*.jsonl")
    assert len(file.read_text().splitlines()) == 5
    assert json.loads(file.read_text().splitlines()[1])["ids"][0] == "p0"


def test_what_failed_is_tried_again(index, tmp_path, monkeypatch):
    options = EvaluationOptions(folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(
            HybridIndex, "search", lambda *_, **__: (_ for _ in ()).throw(ModelError("x"))
        )
        failed = evaluate(dataset(), index, [System.from_text("bm25")], options)
    assert failed.systems[0].error
    assert not evaluate(dataset(), index, [System.from_text("bm25")], options).systems[0].failed


def test_models_are_told_apart(index):
    chosen = [System.from_text("dense")]
    parts = [
        evaluate(dataset(), index, chosen, EvaluationOptions(prefix=prefix))
        for prefix in ("a: ", "b: ")
    ]
    assert joined(parts).names == ("a: dense", "b: dense")
    assert joined(parts).comparisons()[0].ties == len(dataset().questions)
    with pytest.raises(InputError, match="names stand twice"):
        joined([parts[0], parts[0]])
    with pytest.raises(InputError, match="no evaluations"):
        joined([])


def test_questions_are_divided_and_arms_compared(index):
    evaluation = evaluate(dataset(), index, systems(index))
    kinds = {one.kind for one in slices(evaluation)}
    assert kinds <= {
        "length of the question",
        "words shared with the passage",
        "language of the question",
        "language of the passage",
    }
    assert all(set(one.means) == set(evaluation.names) for one in slices(evaluation))
    for one in overlaps(evaluation):
        counts = one.both + one.only_first + one.only_second + one.neither
        assert counts == len(dataset().questions)
    assert len(overlaps(evaluation)) == 6


def test_scores_that_tell_right_from_wrong(index):
    evaluation = evaluate(dataset(), index, [System.from_text("bm25")])
    found = separation(evaluation, "bm25")
    assert (len(found.right), len(found.wrong)) == (10, 1)
    assert found.chance == 1.0
    with pytest.raises(InputError, match="was not run"):
        separation(evaluation, "dense")


def test_no_systems(index):
    with pytest.raises(InputError, match="systems is empty"):
        evaluate(dataset(), index, [])
