"""trivec for LangChain: embeddings, vector store, retriever, reranker, rewriting, chain.

Importing this package loads nothing; each class is loaded when it is first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec.adapters import lazy_names

if TYPE_CHECKING:
    from langchain_trivec.chain import Citation, RagAnswer, create_rag_chain
    from langchain_trivec.embeddings import BGEM3Embeddings, BGEM3SparseEmbeddings
    from langchain_trivec.reranker import BGECrossEncoder, CrossEncoderCompressor
    from langchain_trivec.retriever import TrivecRetriever
    from langchain_trivec.rewriting import LLMChat
    from langchain_trivec.vectorstore import TrivecVectorStore

__all__ = [
    "BGECrossEncoder",
    "BGEM3Embeddings",
    "BGEM3SparseEmbeddings",
    "Citation",
    "CrossEncoderCompressor",
    "LLMChat",
    "RagAnswer",
    "TrivecRetriever",
    "TrivecVectorStore",
    "create_rag_chain",
]

_MODULE_OF = {
    "BGECrossEncoder": "reranker",
    "BGEM3Embeddings": "embeddings",
    "BGEM3SparseEmbeddings": "embeddings",
    "Citation": "chain",
    "CrossEncoderCompressor": "reranker",
    "LLMChat": "rewriting",
    "RagAnswer": "chain",
    "TrivecRetriever": "retriever",
    "TrivecVectorStore": "vectorstore",
    "create_rag_chain": "chain",
}

__getattr__, __dir__ = lazy_names(
    __name__, _MODULE_OF, framework="langchain_core", extra="langchain"
)
