"""The embedding models: LlamaIndex's contracts over one forward."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from llama_index.core.schema import MetadataMode, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index_trivec import BGEM3Embedding, BGEM3SparseEmbedding
from trivec.encoders import MemoEncoder
from trivec.testing import FakeEncoder

TEXTS = ["green tea is a warm drink", "a red car", "猫在沙发上睡觉"]


@pytest.fixture
def dense(encoder) -> BGEM3Embedding:
    return BGEM3Embedding(encoder)


@pytest.fixture
def sparse(encoder) -> BGEM3SparseEmbedding:
    return BGEM3SparseEmbedding(encoder)


def test_vectors_are_the_encoders(dense, sparse, encoder):
    for text, expected in zip(TEXTS, encoder.encode_documents(TEXTS), strict=True):
        np.testing.assert_allclose(dense.get_text_embedding(text), expected.dense, atol=1e-7)
        assert sparse.get_text_embedding(text) == expected.sparse.to_mapping()
    [query] = encoder.encode_queries(["what is tea"])
    assert dense.get_query_embedding("what is tea") == query.dense.tolist()
    assert sparse.get_query_embedding("what is tea") == query.sparse.to_mapping()
    assert all(type(value) is float for value in dense.get_query_embedding("tea"))


def test_dense_and_sparse_of_one_encoder_are_one_forward(dense, sparse, encoder):
    dense.get_text_embedding_batch(TEXTS)
    sparse.get_text_embedding_batch(TEXTS)
    dense.get_query_embedding("tea")
    sparse.get_query_embedding("tea")
    assert encoder.calls == 2
    dense.sparse().get_text_embedding_batch(TEXTS)
    assert encoder.calls == 2


def test_one_forward_for_each_batch(encoder):
    model = BGEM3Embedding(MemoEncoder(encoder), embed_batch_size=2)
    assert len(model.get_text_embedding_batch(TEXTS)) == 3
    assert encoder.calls == 2
    assert model.get_text_embedding_batch([]) == []
    assert encoder.calls == 2


async def test_async_gives_the_same(dense, sparse):
    assert await dense.aget_text_embedding_batch(TEXTS) == dense.get_text_embedding_batch(TEXTS)
    assert await sparse.aget_text_embedding_batch(TEXTS) == sparse.get_text_embedding_batch(TEXTS)
    assert await dense.aget_query_embedding("tea") == dense.get_query_embedding("tea")
    assert await sparse.aget_query_embedding("tea") == sparse.get_query_embedding("tea")
    assert await dense.aget_text_embedding("tea") == dense.get_text_embedding("tea")
    assert await sparse.aget_text_embedding("tea") == sparse.get_text_embedding("tea")


def test_sparse_similarity_is_the_dot_product(sparse):
    assert sparse.similarity({1: 2.0, 2: 3.0}, {2: 0.5, 3: 9.0}) == 1.5
    assert sparse.similarity({1: 2.0}, {}) == 0.0


def test_sparse_functions_have_the_form_that_qdrants_adapter_takes(sparse, encoder):
    for function in (sparse.encode_documents, sparse.encode_queries):
        indices, values = function(TEXTS)
        for ids, weights, encoding in zip(
            indices, values, encoder.encode_documents(TEXTS), strict=True
        ):
            assert dict(zip(ids, weights, strict=True)) == encoding.sparse.to_mapping()
            assert all(type(number) is int for number in ids)


def test_as_a_transformation_it_embeds_text_and_metadata(dense):
    node = TextNode(text="tea", metadata={"lang": "en", "secret": 1})
    node.excluded_embed_metadata_keys = ["secret"]
    [embedded] = dense([node])
    expected = dense.get_text_embedding(node.get_content(MetadataMode.EMBED))
    assert embedded.embedding == expected
    assert "lang: en" in node.get_content(MetadataMode.EMBED)


def test_llama_indexs_own_cache(encoder):
    model = BGEM3Embedding(encoder, embeddings_cache=SimpleKVStore())
    first = model.get_text_embedding("tea")
    assert model.get_text_embedding("tea") == first
    assert model.embeddings_cache.get("tea", collection="embeddings") is not None


class Instructed(FakeEncoder):
    """An encoder whose queries carry an instruction, as E5's do."""

    calls = 0

    def encode_documents(self, *given, **more):
        self.calls += 1
        return super().encode_documents(*given, **more)

    def encode_queries(self, texts, **more):
        self.calls += 1
        return super().encode_queries([f"query: {text}" for text in texts], **more)


def test_llama_indexs_own_cache_tells_a_query_from_a_passage():
    encoder = Instructed()
    model = BGEM3Embedding(encoder, embeddings_cache=SimpleKVStore())
    plain = BGEM3Embedding(encoder)
    assert model.get_text_embedding("tea") == plain.get_text_embedding("tea")
    assert model.get_query_embedding("tea") == plain.get_query_embedding("tea")
    assert model.get_query_embedding("tea") != model.get_text_embedding("tea")
    assert asyncio.run(model.aget_query_embedding("ginger")) == plain.get_query_embedding("ginger")
    assert asyncio.run(model.aget_text_embedding("ginger")) == plain.get_text_embedding("ginger")
    calls = encoder.calls
    again = BGEM3Embedding(encoder, embeddings_cache=model.embeddings_cache._store)
    assert again.get_query_embedding("ginger") == plain.get_query_embedding("ginger")
    assert again.get_text_embedding_batch(["tea"]) == [plain.get_text_embedding("tea")]
    assert encoder.calls == calls


def test_events_name_the_model_and_nothing_is_loaded_before(encoder):
    model = BGEM3Embedding(encoder)
    assert encoder.calls == 0
    assert model.to_payload()["model_name"] == encoder.info.model
    assert model.sparse().to_payload()["class_name"] == "BGEM3SparseEmbedding"
    assert "encoder" not in model.to_dict()


def test_texts_are_cleaned_as_the_index_cleans_them(dense, encoder):
    assert dense.get_text_embedding("a\r\nb\x00") == dense.get_text_embedding("a\nb")
    assert encoder.calls == 1
