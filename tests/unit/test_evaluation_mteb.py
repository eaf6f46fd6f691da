"""MTEB's own tasks run over an index, by every arm and by hybrids; nothing is downloaded."""

from __future__ import annotations

import pytest

from trivec import Chunk
from trivec.errors import InputError
from trivec.evaluation import Dataset, MtebSearch, Question, System, evaluate, indexed
from trivec.testing import FakeEncoder

mteb = pytest.importorskip("mteb", reason="the extra mteb")

PASSAGES = {
    "lemon": "Lemons are sour and yellow.",
    "honey": "Honey is sweet and brown.",
    "snow": "Snow is white and cold.",
    "tax": "Taxes are due in spring.",
    "blank": " ",
}
QUERIES = {"q0": "sour yellow", "q1": "sweet brown", "q2": "white cold", "q3": "taxes due"}
ANSWERS = {"q0": "lemon", "q1": "honey", "q2": "snow", "q3": "tax"}


def task(name: str, *, ranked: bool):
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class InMemory(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name=name,
            type="Reranking" if ranked else "Retrieval",
            main_score="ndcg_at_10",
            description="Made up.",
            reference="https://example.org",
            dataset={"path": "NA", "revision": "NA"},
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            date=("2026-01-01", "2026-01-01"),
            domains=[],
            task_subtypes=[],
            license="cc-by-4.0",
            annotations_creators="derived",
            dialect=[],
            sample_creation="found",
            bibtex_citation="",
        )

        def load_data(self, **_):
            corpus = [{"id": key, "text": text, "title": ""} for key, text in PASSAGES.items()]
            queries = [{"id": key, "text": text} for key, text in QUERIES.items()]
            split = {
                "corpus": Dataset.from_list(corpus),
                "queries": Dataset.from_list(queries),
                "relevant_docs": {key: {answer: 1} for key, answer in ANSWERS.items()},
                "top_ranked": {key: ["snow", ANSWERS[key]] for key in QUERIES} if ranked else None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return InMemory()


def score_of(model, *, ranked=False) -> float:
    result = mteb.evaluate(
        model,
        task("InMemory", ranked=ranked),
        cache=None,
        co2_tracker=False,
        show_progress_bar=False,
    )
    return result.task_results[0].scores["test"][0]["ndcg_at_10"]


@pytest.mark.parametrize(
    "system",
    ["dense", "sparse", "bm25", "colbert", "hybrid", "hybrid, rrf", "hybrid, colbert=rescore"],
)
def test_every_arm_and_hybrid_runs_in_a_task(system, tmp_path):
    model = MtebSearch(FakeEncoder(), system, folder=tmp_path)
    assert isinstance(model, mteb.SearchProtocol)
    assert score_of(model) == pytest.approx(own_score_of(system, tmp_path), abs=1e-4)
    model.close()


def own_score_of(system: str, folder) -> float:
    """Return what trivec's own evaluation says of the same questions, over the same index."""
    passages = tuple(Chunk(text, id=key) for key, text in PASSAGES.items() if text.strip())
    asked = tuple(Question(key, QUERIES[key], {answer: 1}) for key, answer in ANSWERS.items())
    dataset = Dataset("corpus", passages, asked)
    with indexed(dataset, FakeEncoder(), folder) as index:
        figures = evaluate(dataset, index, [System.from_text(system)]).figures()
    (scores,) = figures.values()
    assert scores.mean() > 0
    return float(scores.mean())


def test_systems_share_an_index(tmp_path):
    encoder = FakeEncoder()
    first = MtebSearch(encoder, "dense", folder=tmp_path)
    score_of(first)
    first.close()
    before = encoder.calls
    second = MtebSearch(encoder, "sparse", folder=tmp_path)
    score_of(second)
    assert encoder.calls - before == 1  # the queries; no passage again
    second.close()


def test_given_passages_are_ordered():
    with MtebSearch(FakeEncoder(), "bm25") as model:
        assert score_of(model, ranked=True) == pytest.approx(1.0)
    with (
        MtebSearch(FakeEncoder(), "dense, rewrite=corpus") as model,
        pytest.raises(InputError, match="more than a search"),
    ):
        score_of(model, ranked=True)


def test_results_name_the_way_to_search():
    model = MtebSearch(FakeEncoder(), "hybrid, rrf", name="us/tuned")
    assert model.mteb_model_meta.name == "us/tuned-hybrid_rrf"


def test_what_is_no_text():
    model = MtebSearch(FakeEncoder())
    with pytest.raises(InputError, match="call index"):
        model.search([{"id": "q", "text": "what"}], top_k=3)
    with pytest.raises(InputError, match="is a list; give a text"):
        model.index([{"id": "p", "text": ["an image"]}])
