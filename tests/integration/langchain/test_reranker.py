"""The compressor and the cross-encoder over a core reranker."""

from __future__ import annotations

import copy
import threading

import pytest
from langchain_core.documents import Document
from pydantic import ValidationError

from langchain_trivec import BGECrossEncoder, CrossEncoderCompressor
from trivec.errors import InputError
from trivec.rerankers import MaxSimReranker
from trivec.testing import FakeEncoder

DOCUMENTS = [
    Document(id="car", page_content="a red car", metadata={"n": 1, "relevance_score": 9.0}),
    Document(id="tea", page_content="green tea from china", metadata={"n": 2}),
    Document(id="cup", page_content="a cup of tea", metadata={"n": 3}),
]


class ByLength:
    """Scores the length of a passage less 10, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.threads = set()

    def score(self, query, passages):
        self.asked.append((query, list(passages)))
        self.threads.add(threading.current_thread())
        return [len(passage) - 10.0 for passage in passages]


def test_the_best_come_first_with_their_scores_and_nothing_is_changed():
    before = copy.deepcopy(DOCUMENTS)
    found = CrossEncoderCompressor(reranker=MaxSimReranker(FakeEncoder()), top_n=2)
    result = found.compress_documents(DOCUMENTS, "green tea")
    assert [document.id for document in result] == ["tea", "cup"]
    first, second = (document.metadata["relevance_score"] for document in result)
    assert first > second
    assert {**result[0].metadata, "relevance_score": None} == {"n": 2, "relevance_score": None}
    assert before == DOCUMENTS


def test_no_documents():
    reranker = ByLength()
    assert CrossEncoderCompressor(reranker=reranker).compress_documents([], "q") == []
    assert reranker.asked == []


async def test_async_runs_in_another_thread():
    reranker = ByLength()
    compressor = CrossEncoderCompressor(reranker=reranker)
    assert await compressor.acompress_documents(DOCUMENTS, "tea") == compressor.compress_documents(
        DOCUMENTS, "tea"
    )
    assert len(reranker.threads) == 2


def test_threshold_on_probabilities():
    compressor = CrossEncoderCompressor(
        reranker=ByLength(), top_n=None, normalize=True, threshold=0.8
    )
    kept = compressor.compress_documents(DOCUMENTS, "tea")
    assert [document.id for document in kept] == ["tea", "cup"]
    assert all(0.8 <= document.metadata["relevance_score"] <= 1 for document in kept)


@pytest.mark.parametrize(
    "fields", [{"top_n": -1}, {"threshold": 3.0, "normalize": True}, {"topn": 2}]
)
def test_bad_fields_are_refused_at_construction(fields):
    with pytest.raises(ValidationError):
        CrossEncoderCompressor(reranker=ByLength(), **fields)


def test_the_reranker_must_be_one():
    with pytest.raises(ValidationError, match="Reranker"):
        CrossEncoderCompressor(reranker="bge-reranker-v2-m3")


def test_the_cross_encoder_scores_pairs_query_by_query():
    reranker = ByLength()
    pairs = [("a", "four"), ("b", "seven.."), ("a", "ten chars."), ("a", "four")]
    assert BGECrossEncoder(reranker).score(pairs) == [-6.0, -3.0, 0.0, -6.0]
    assert reranker.asked == [("a", ["four", "ten chars.", "four"]), ("b", ["seven.."])]
    assert BGECrossEncoder(reranker).score([]) == []


def found_with(document, score):
    metadata = {**document.metadata, "trivec": {"score": score}}
    return document.model_copy(update={"metadata": metadata})


def test_the_retrieval_counts_where_asked():
    documents = [found_with(DOCUMENTS[0], 0.9), found_with(DOCUMENTS[1], 0.1)]
    alone = CrossEncoderCompressor(reranker=ByLength())
    mixed = CrossEncoderCompressor(reranker=ByLength(), retrieval_weight=2.0)
    order = [document.id for document in alone.compress_documents(documents, "q")]
    assert order == ["tea", "car"]
    result = mixed.compress_documents(documents, "q")
    assert [document.id for document in result] == ["car", "tea"]
    assert [document.metadata["relevance_score"] for document in result] == [-1.0, 10.0]


def test_the_retrieval_cannot_count_without_its_scores():
    mixed = CrossEncoderCompressor(reranker=ByLength(), retrieval_weight=2.0)
    with pytest.raises(InputError, match="retrieval_weight"):
        mixed.compress_documents(DOCUMENTS, "q")
