"""What systems share is what the index gives; each list is looked up once."""

from __future__ import annotations

from random import Random

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.encoders import MemoEncoder
from trivec.errors import StoreError
from trivec.evaluation import (
    Dataset,
    EvaluationOptions,
    Question,
    System,
    default_systems,
    evaluate,
    rows,
    sharing,
)
from trivec.evaluation.asking import Asking
from trivec.testing import FakeEncoder, MemoryStore

WORDS = [f"{first}{second}" for first in "abcdefghij" for second in ("lemon", "snow", "tax", "sun")]
SYSTEMS = (
    "dense+sparse, rrf, rrf_k=61",
    "dense:1+bm25:0.5, rrf",
    "dense:1+sparse:0.2+bm25:2",
    "dense+bm25, dbsf, colbert=fuse",
    "hybrid, rrf, dense>0.1",
    "colbert+bm25, rrf",
    "bm25, colbert=rescore",
    "hybrid, linear, colbert=fuse",
    "hybrid, prefetch=30",
    "dense, rerank=back, candidates=15",
)


class Backwards:
    def score(self, _query, passages):
        return [float(len(text) * 31 % 97) for text in passages]


def dataset(passages=60, questions=25) -> Dataset:
    random = Random(7)  # noqa: S311  # no secret
    chunks = tuple(
        Chunk(" ".join(random.choices(WORDS, k=12)), id=f"p{at}", source=f"s{at // 3}")
        for at in range(passages)
    )
    asked = tuple(
        Question(f"q{at}", " ".join(random.sample(chunk.text.split(), 4)), {chunk.id: 1})
        for at, chunk in enumerate(random.sample(chunks, questions))
    )
    return Dataset("made up", chunks, asked)


@pytest.fixture(scope="module", params=["edge", "memory"])
def index(request, tmp_path_factory):
    place = MemoryStore() if request.param == "memory" else tmp_path_factory.mktemp("kb") / "kb"
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    with HybridIndex.open(place, FakeEncoder(), config=config) as opened:
        opened.add(dataset().passages)
        opened.optimize()
        heads = ("dense", "sparse", "colbert")
        yield opened.with_encoder(MemoEncoder(opened.encoder, heads=heads))


def asked_both_ways(index, system: System):
    """Return what a system finds alone, and what it finds where lookups are shared."""
    alone, shared = (evaluated(index, system, timed) for timed in (1000, 5))
    return alone, shared


def evaluated(index, system, timed):
    options = EvaluationOptions(rerankers={"back": Backwards()}, timed=timed)
    return evaluate(dataset(), index, [system], options).systems[0].results


@pytest.mark.parametrize("text", SYSTEMS)
def test_what_is_shared_is_what_the_index_gives(index, text):
    agrees(index, System.from_text(text))


def test_every_default_system_agrees(index):
    for system in default_systems(index.schema):
        agrees(index, system)


def agrees(index, system):
    alone, shared = asked_both_ways(index, system)
    assert sum(bool(one.milliseconds) for one in alone) == len(alone)
    assert sum(bool(one.milliseconds) for one in shared) == 5, str(system)  # others: in blocks
    for one, other in zip(alone, shared, strict=True):
        assert other.scores == pytest.approx(one.scores, rel=1e-4, abs=1e-4), str(system)
        last = min(one.scores)
        sure = {key for key, score in zip(one.ids, one.scores, strict=True) if score > last + 1e-3}
        assert sure <= set(other.ids), str(system)


def test_each_list_is_looked_up_once(index, monkeypatch):
    asked = []
    rank = type(index.store).rank

    def counting(self, queries):
        asked.extend(queries)
        return rank(self, queries)

    systems = [System.from_text(text) for text in ("hybrid", "hybrid, rrf", "hybrid, dbsf")]
    shared, _ = sharing.sharing(index, 100)
    monkeypatch.setattr(type(index.store), "rank", counting)
    texts = [one.text for one in dataset().questions[:5]]
    for system in systems:
        shared.search_batch(texts, 20, options=system.search)
    assert len(asked) == len(texts) * 3  # dense, sparse, bm25: once a question for all systems


def test_colbert_scores_are_no_work_of_the_engine(index, monkeypatch):
    shared, _ = sharing.sharing(index, 100)
    texts = [one.text for one in dataset().questions[:5]]
    options = System.from_text("hybrid, colbert=rescore").search
    expected = index.search_batch(texts, 10, options=options)
    query = type(index.store).query

    def refusing(self, queries):
        if any(one.rescore is not None for one in queries):
            raise StoreError("it was asked to rescore")
        return query(self, queries)

    monkeypatch.setattr(type(index.store), "query", refusing)
    found = shared.search_batch(texts, 10, options=options)
    for hits, wanted in zip(found, expected, strict=True):  # equal scores may stand as they like
        scores = [hit.score for hit in wanted]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-4)


def test_each_pair_is_scored_once_by_colbert(index, monkeypatch):
    scored = []
    multiply = rows.sums_of_best

    def counting(asked, starts, passage):
        scored.extend(starts)
        return multiply(asked, starts, passage)

    monkeypatch.setattr(rows, "sums_of_best", counting)
    shared, store = sharing.sharing(index, 100)
    texts = [one.text for one in dataset().questions[:5]]
    for text in ("colbert", "hybrid, colbert=rescore", "hybrid, colbert=fuse"):
        shared.search_batch(texts, 20, options=System.from_text(text).search)
    assert len(scored) == len(texts) * len(dataset().passages)
    store.forget()
    shared.search_batch(texts, 20, options=System.from_text("colbert").search)
    assert len(scored) == 2 * len(texts) * len(dataset().passages)


def test_vectors_that_do_not_fit_stay_with_the_engine(index, monkeypatch):
    monkeypatch.setattr(rows, "MOST_ROWS", 10)
    agrees(index, System.from_text("hybrid, colbert=rescore"))


def test_what_differs_is_asked_alone(index, monkeypatch, caplog):
    monkeypatch.setattr(sharing, "fuse", lambda _fusion, lists: lists[0])  # not what engines do
    alone, shared = asked_both_ways(index, System.from_text("hybrid, rrf"))
    assert "something else where lookups are shared" in caplog.text
    assert all(one.milliseconds for one in shared)
    for one, other in zip(shared, alone, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_a_block_that_fails_is_asked_alone(index, monkeypatch):
    together = Asking.ask_together

    def broken(self, questions):
        if self._together is not None:
            monkeypatch.setattr(
                self._together, "ask_all", lambda _: (_ for _ in ()).throw(StoreError("gone"))
            )
        together(self, questions)

    monkeypatch.setattr(Asking, "ask_together", broken)
    found = evaluated(index, System(), 5)
    assert not any(one.error for one in found)
    assert all(one.milliseconds for one in found)
