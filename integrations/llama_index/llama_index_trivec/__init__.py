"""trivec for LlamaIndex: embeddings, vector store, retriever, reranker, rewriting, query engine.

Importing this package loads nothing; each class is loaded when it is first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec.adapters import lazy_names

if TYPE_CHECKING:
    from llama_index_trivec.chain import (
        CitedAnswer,
        CitedSynthesizer,
        RetrievedNodes,
        create_query_engine,
    )
    from llama_index_trivec.embeddings import BGEM3Embedding, BGEM3SparseEmbedding
    from llama_index_trivec.reranker import TrivecRerank
    from llama_index_trivec.retriever import TrivecRetriever
    from llama_index_trivec.rewriting import KeywordQueryTransform, LLMChat
    from llama_index_trivec.vectorstore import TrivecVectorStore

__all__ = [
    "BGEM3Embedding",
    "BGEM3SparseEmbedding",
    "CitedAnswer",
    "CitedSynthesizer",
    "KeywordQueryTransform",
    "LLMChat",
    "RetrievedNodes",
    "TrivecRerank",
    "TrivecRetriever",
    "TrivecVectorStore",
    "create_query_engine",
]

_MODULE_OF = {
    "BGEM3Embedding": "embeddings",
    "BGEM3SparseEmbedding": "embeddings",
    "CitedAnswer": "chain",
    "CitedSynthesizer": "chain",
    "KeywordQueryTransform": "rewriting",
    "LLMChat": "rewriting",
    "RetrievedNodes": "chain",
    "TrivecRerank": "reranker",
    "TrivecRetriever": "retriever",
    "TrivecVectorStore": "vectorstore",
    "create_query_engine": "chain",
}

__getattr__, __dir__ = lazy_names(
    __name__, _MODULE_OF, framework="llama_index.core", extra="llama-index"
)
