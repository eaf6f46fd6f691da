"""What a typed LangChain application writes; mypy --strict reads it, nothing runs it."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.vectorstores import VectorStore
from qdrant_client import AsyncQdrantClient, QdrantClient, models

from langchain_trivec import (
    BGECrossEncoder,
    BGEM3Embeddings,
    BGEM3SparseEmbeddings,
    Citation,
    CrossEncoderCompressor,
    RagAnswer,
    TrivecRetriever,
    TrivecVectorStore,
    create_rag_chain,
)
from trivec import IndexConfig, QueryText, SearchOptions, load_encoder
from trivec.rerankers import MaxSimReranker


def embeddings() -> tuple[list[list[float]], list[int]]:
    encoder = load_encoder("BAAI/bge-m3")
    dense: Embeddings = BGEM3Embeddings(encoder)
    sparse: BGEM3SparseEmbeddings = BGEM3Embeddings(encoder).sparse()
    return dense.embed_documents(["a", "b"]), sparse.embed_query("a").indices


def stores(documents: list[Document]) -> list[tuple[Document, float]]:
    encoder = load_encoder("mini")
    local = TrivecVectorStore.from_documents(documents, BGEM3Embeddings(encoder), location="./kb")
    remote: VectorStore = TrivecVectorStore.open(
        QdrantClient(url="http://localhost"),
        encoder,
        collection_name="kb",
        config=IndexConfig(codec="langchain", arms=("dense", "sparse")),
        async_client=AsyncQdrantClient(url="http://localhost"),
    )
    ids: list[str] = remote.add_documents(documents, ids=["1", "2"])
    remote.delete(ids)
    found = local.similarity_search("question", k=3, filter={"lang": "zh"}, arms=["dense"])
    found += remote.max_marginal_relevance_search("question", lambda_mult=0.3)
    only = models.Filter(must=[models.HasIdCondition(has_id=[1])])
    return local.similarity_search_with_score(found[0].page_content, filter=only)


async def retrievers(store: TrivecVectorStore) -> list[Document]:
    plain: BaseRetriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 3})
    retriever = TrivecRetriever(
        index=store.index,
        async_index=store.async_index,
        k=5,
        filter={"year": {"gte": 2020}},
        weights={"dense": 1.0, "sparse": 0.3},
        fusion="linear",
        options=SearchOptions(prefetch_k=200),
        reranker=MaxSimReranker(store.index.encoder),
        rewriter=lambda question: [QueryText(question), QueryText("words", arms=("bm25",))],
    )
    compressor = CrossEncoderCompressor(reranker=MaxSimReranker(store.index.encoder), top_n=2)
    scores: list[float] = BGECrossEncoder(compressor.reranker).score([("question", "passage")])
    assert scores
    documents = await retriever.ainvoke("question", k=3) + plain.invoke("question")
    return list(await compressor.acompress_documents(documents, "question"))


def chain(retriever: BaseRetriever, llm: BaseChatModel) -> list[Citation]:
    answering: Runnable[Any, RagAnswer] = create_rag_chain(retriever, llm, min_relevance=0.2)
    answer = answering.invoke("question")
    if answer["refused"]:
        return []
    for piece in answering.stream({"question": "question"}):
        assert piece
    return answer["citations"]
