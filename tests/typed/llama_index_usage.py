"""What a user of LlamaIndex writes, for mypy: every class fits LlamaIndex's own signatures."""

from __future__ import annotations

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.vector_stores.types import BasePydanticVectorStore, MetadataFilters

from llama_index_trivec import (
    BGEM3Embedding,
    KeywordQueryTransform,
    TrivecRerank,
    TrivecRetriever,
    TrivecVectorStore,
    create_query_engine,
)
from trivec import HybridIndex, SearchOptions
from trivec.rerankers import MaxSimReranker
from trivec.testing import FakeEncoder


def answer(question: str) -> str:
    """Index a document and ask about it."""
    encoder = FakeEncoder()
    with HybridIndex.open("./kb", encoder) as index:
        store = TrivecVectorStore(index, options=SearchOptions(fusion="rrf"))
        vector_store: BasePydanticVectorStore = store
        embed_model: BaseEmbedding = store.embed_model
        sparse: BaseSparseEmbedding = BGEM3Embedding(encoder).sparse()
        kb = VectorStoreIndex.from_documents(
            [Document(text="green tea")],
            storage_context=StorageContext.from_defaults(vector_store=vector_store),
            embed_model=embed_model,
        )
        kb.insert(Document(text="a red car"))
        weights: dict[int, float] = sparse.get_query_embedding(question)
        retriever: BaseRetriever = TrivecRetriever(
            index,
            similarity_top_k=len(weights) + 1,
            filters=MetadataFilters(filters=[]),
            query_transform=KeywordQueryTransform(MockLLM(), on_error="question"),
        )
        rerank: BaseNodePostprocessor = TrivecRerank(MaxSimReranker(encoder), top_n=3)
        engine = create_query_engine(retriever, MockLLM(), node_postprocessors=[rerank])
        return str(engine.query(question))
