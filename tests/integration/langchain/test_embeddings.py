"""Both embeddings classes over one encoder, alone and in langchain-qdrant's own hybrid store."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings, SparseVector
from qdrant_client import QdrantClient

from langchain_trivec import BGEM3Embeddings, BGEM3SparseEmbeddings
from trivec.encoders import MemoEncoder
from trivec.errors import ModelError
from trivec.testing import FakeEncoder
from trivec.types import EncoderInfo, Encoding

TEXTS = ["green tea from china", "a red car", "猫在沙发上睡觉", "green tea from china"]


class Prefixing(FakeEncoder):
    """Encodes queries with an instruction, as E5-like models do."""

    def encode_queries(self, texts, *, heads=("dense", "sparse", "colbert")):
        return self._encode([f"query {text}" for text in texts], heads)


class Stateless:
    """An encoder that pickles."""

    info = EncoderInfo(model="m", weights="0", dense_dim=1)

    def encode_documents(self, texts, *, heads=()):  # noqa: ARG002  # the protocol's
        return [Encoding() for _ in texts]

    encode_queries = encode_documents

    def decode_tokens(self, ids):
        return ["" for _ in ids]


def test_the_pair_runs_the_model_once(encoder):
    dense, sparse = BGEM3Embeddings(encoder), BGEM3SparseEmbeddings(encoder)
    dense.embed_documents(TEXTS)
    sparse.embed_documents(TEXTS)
    assert encoder.calls == 1
    sparse.embed_query("tea")
    dense.embed_query("tea")
    assert encoder.calls == 2
    assert dense.sparse().embed_query("tea") == sparse.embed_query("tea")
    assert encoder.calls == 2


def test_other_encoders_have_other_memos(encoder):
    BGEM3Embeddings(encoder).embed_query("tea")
    other = FakeEncoder(name="other")
    assert BGEM3Embeddings(other).embed_query("tea") != BGEM3Embeddings(encoder).embed_query("tea")
    assert other.calls == 1


def test_a_memo_of_ones_own_size_is_kept(encoder):
    memo = MemoEncoder(encoder, size=1)
    dense, sparse = BGEM3Embeddings(memo), BGEM3SparseEmbeddings(memo)
    dense.embed_documents(TEXTS[:2])
    sparse.embed_documents(TEXTS[:2])
    assert encoder.calls == 2, "the first of two texts was forgotten"
    assert dense.encoder is encoder is sparse.encoder


def test_values_are_those_of_the_encoder_in_python_numbers(encoder):
    dense, sparse = BGEM3Embeddings(encoder), BGEM3SparseEmbeddings(encoder)
    expected = encoder.encode_documents(TEXTS)
    for vector, weights, encoding in zip(
        dense.embed_documents(TEXTS), sparse.embed_documents(TEXTS), expected, strict=True
    ):
        assert vector == encoding.dense.tolist()
        assert weights.indices == encoding.sparse.indices.tolist()
        assert weights.values == encoding.sparse.values.tolist()
        assert {type(value) for value in [*vector, *weights.values]} == {float}
        json.dumps([vector, weights.indices])


def test_queries_and_passages_have_their_own_instructions():
    encoder = Prefixing()
    dense, sparse = BGEM3Embeddings(encoder), BGEM3SparseEmbeddings(encoder)
    assert dense.embed_query("tea") == dense.embed_documents(["query tea"])[0]
    assert dense.embed_query("tea") != dense.embed_documents(["tea"])[0]
    assert sparse.embed_query("tea") == sparse.embed_documents(["query tea"])[0]


def test_nothing_for_nothing(encoder):
    assert BGEM3Embeddings(encoder).embed_documents([]) == []
    assert BGEM3SparseEmbeddings(encoder).embed_documents([]) == []
    assert encoder.calls == 0


async def test_async_gives_the_same(encoder):
    dense, sparse = BGEM3Embeddings(encoder), BGEM3SparseEmbeddings(encoder)
    assert await dense.aembed_documents(TEXTS) == dense.embed_documents(TEXTS)
    assert await sparse.aembed_documents(TEXTS) == sparse.embed_documents(TEXTS)
    assert await dense.aembed_query("tea") == dense.embed_query("tea")
    assert await sparse.aembed_query("tea") == sparse.embed_query("tea")
    assert encoder.calls == 2


def test_both_at_the_same_time_run_the_model_once(encoder):
    dense, sparse = BGEM3Embeddings(encoder), BGEM3SparseEmbeddings(encoder)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(half.embed_documents, TEXTS) for half in (dense, sparse) * 4]
        for job in jobs:
            job.result()
    assert encoder.calls == 1


def test_a_missing_head_is_an_error():
    with pytest.raises(ModelError, match="dense"):
        BGEM3Embeddings(Stateless()).embed_query("tea")
    with pytest.raises(ModelError, match="sparse"):
        BGEM3SparseEmbeddings(Stateless()).embed_query("tea")


def test_the_sparse_class_is_langchain_qdrants(encoder):
    sparse = BGEM3SparseEmbeddings(encoder)
    assert isinstance(sparse, SparseEmbeddings)
    assert isinstance(sparse.embed_query("tea"), SparseVector)


def test_it_works_without_langchain_qdrant():
    program = """
import sys
sys.modules["langchain_qdrant"] = None  # an import of it fails
from langchain_trivec import BGEM3SparseEmbeddings
from trivec.testing import FakeEncoder
vector = BGEM3SparseEmbeddings(FakeEncoder()).embed_query("green tea")
assert len(vector.indices) == len(vector.values) == 2
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_langchain_qdrants_hybrid_store_runs_the_model_once_per_batch(encoder):
    dense, sparse = BGEM3Embeddings(encoder), BGEM3SparseEmbeddings(encoder)
    with closing(QdrantClient(":memory:")) as client:
        from qdrant_client import models

        client.create_collection(
            "kb",
            vectors_config=models.VectorParams(size=64, distance=models.Distance.COSINE),
            sparse_vectors_config={"langchain-sparse": models.SparseVectorParams()},
        )
        store = QdrantVectorStore(
            client,
            "kb",
            dense,
            RetrievalMode.HYBRID,
            sparse_embedding=sparse,
            validate_embeddings=False,
            validate_collection_config=False,
        )
        store.add_texts(TEXTS[:3])
        assert encoder.calls == 1
        [found] = store.similarity_search("green tea", k=1)
        assert encoder.calls == 2
        assert found.page_content == TEXTS[0]


def test_pickling_keeps_the_encoder_and_drops_the_memo():
    dense = BGEM3Embeddings(Stateless())
    dense._memo.encode_documents(["a secret text"], heads=("dense",))
    data = pickle.dumps(dense)
    assert b"a secret text" not in data
    assert isinstance(pickle.loads(data).encoder, Stateless)  # noqa: S301  # our own bytes
