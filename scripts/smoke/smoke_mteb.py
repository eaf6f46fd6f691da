"""A retrieval task of MTEB's form, made up here, runs over an index by two ways to search."""

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from trivec.evaluation import MtebSearch
from trivec.testing import FakeEncoder

PASSAGES = {"lemon": "Lemons are sour.", "honey": "Honey is sweet.", "snow": "Snow is cold."}
QUESTIONS = {"honey": "sweet honey", "snow": "cold snow"}


class Task(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="InMemory",
        type="Retrieval",
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

    def load_data(self, **_named):
        corpus = [{"id": key, "text": text, "title": ""} for key, text in PASSAGES.items()]
        queries = [{"id": key, "text": text} for key, text in QUESTIONS.items()]
        split = {
            "corpus": Dataset.from_list(corpus),
            "queries": Dataset.from_list(queries),
            "relevant_docs": {key: {key: 1} for key in QUESTIONS},
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True


for system in ("bm25", "hybrid, colbert=rescore"):
    with MtebSearch(FakeEncoder(), system) as model:
        result = mteb.evaluate(
            model, Task(), cache=None, co2_tracker=False, show_progress_bar=False
        )
    scores = result.task_results[0].scores["test"][0]
    assert scores["ndcg_at_10"] > 0.99, scores
