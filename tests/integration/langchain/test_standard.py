"""LangChain's own suites, whole: each has a test that nothing of it is overridden or skipped."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_trivec import BGEM3Embeddings, TrivecRetriever
from trivec.testing import FakeEncoder


class TestVectorStore(VectorStoreIntegrationTests):
    """Over any LangChain embeddings: the suite's own, which are dense alone."""

    @pytest.fixture
    def vectorstore(self, open_store):
        return open_store(self.get_embeddings())


class TestVectorStoreOverM3(VectorStoreIntegrationTests):
    """Over an encoder with all three heads."""

    @pytest.fixture
    def vectorstore(self, store):
        return store


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _filled(self, store):
        texts = ["a river flows", "the river is wide", "rivers and seas", "one more river"]
        store.add_documents([Document(page_content=text) for text in texts])
        self.index = store.index

    @property
    def retriever_constructor(self):
        return TrivecRetriever

    @property
    def retriever_constructor_params(self):
        return {"index": self.index}

    @property
    def retriever_query_example(self):
        return "where does the river flow?"


class EmbeddingsParams:
    @property
    def embeddings_class(self):
        return BGEM3Embeddings

    @property
    def embedding_model_params(self):
        return {"encoder": FakeEncoder()}


class TestEmbeddingsUnit(EmbeddingsParams, EmbeddingsUnitTests):
    pass


class TestEmbeddingsIntegration(EmbeddingsParams, EmbeddingsIntegrationTests):
    pass
