"""A LangChain retriever with every option of a trivec search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from langchain_core.runnables import run_in_executor
from pydantic import ConfigDict, Field, model_validator

from langchain_trivec._convert import Found, document_of, filter_of, search_options
from langchain_trivec.embeddings import as_embeddings
from langchain_trivec.reranker import with_relevance
from trivec.errors import InputError
from trivec.fusion import FusionName
from trivec.index import DEFAULT_SEARCH, AsyncHybridIndex, HybridIndex
from trivec.protocols import Reranker
from trivec.rerankers import RankingOptions, rank
from trivec.rewriting import Rewriter
from trivec.types import ColbertMode, Hit, QueryText, SearchOptions

__all__ = ["TrivecRetriever"]


class TrivecRetriever(BaseRetriever):
    """Finds documents by any arms of an index, fused, reranked and explained as asked.

    ``invoke(query, k=3)`` takes ``k``, ``filter``, ``ids`` and the fields of
    :class:`trivec.SearchOptions` for one call, and so does ``ainvoke``.

    A document says under ``metadata["trivec"]`` how it was found: ``score``, what the order
    follows; with ``explain`` also ``arms``, the exact score of every arm that matched, and
    ``matches``, the shared tokens and words as ``{"arm", "term", "score"}``, heaviest first. With
    a reranker ``metadata["relevance_score"]`` is its score. Equality does not look at
    either, so that documents which several queries found are joined. Metadata of your own under
    the key stays.

    Attributes:
        index: what is searched. It stays open; closing it is its opener's business.
        async_index: the same over an asynchronous store; None searches in worker threads.
        k: how many documents.
        filter: a ``models.Filter`` of qdrant-client, or a dict over metadata keys. One given to
            ``invoke`` takes its place.
        ids: search among the documents with these ids alone; None: among all.
        arms: which of ``dense``, ``sparse``, ``bm25``, ``colbert`` take part; None: what
            ``options`` says, by default all but ColBERT.
        weights: of arms, 1 where none is given; not with ``fusion="dbsf"``.
        fusion: ``adaptive``, ``rrf``, ``dbsf`` or ``linear``; None: what ``options`` says.
        colbert: ``rescore`` or ``fuse``; None: what ``options`` says.
        explain: whether documents carry ``arms`` and ``matches``, for one more request.
        options: everything else that a search can be told.
        reranker: orders the first ``rerank_candidates`` anew; None leaves the order.
        rerank_candidates: how many the reranker reads; raised to ``k`` where smaller.
        rerank_threshold: the least relevance score that is returned.
        retrieval_weight: how much the search's own scores count beside the reranker's in the new
            order, see :class:`trivec.rerankers.RankingOptions`.
        normalize: turn the reranker's logits into probabilities.
        rewriter: a :class:`trivec.rewriting.Rewriter` such as ``KeywordRewriter``, or a
            function from the question to the texts that are searched for, each with its arms and
            weight. ``ainvoke`` awaits a rewriter, and runs a function in a thread.
        metadata_key: the key that says how a document was found; None leaves metadata alone.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: HybridIndex = Field(exclude=True)
    async_index: AsyncHybridIndex | None = Field(default=None, exclude=True)
    k: int = Field(default=4, ge=0)
    filter: Any = None
    ids: Sequence[str] | None = None
    arms: Sequence[str] | None = None
    weights: Mapping[str, float] = Field(default_factory=dict)
    fusion: FusionName | None = None
    colbert: ColbertMode | None = None
    explain: bool = False
    options: SearchOptions = DEFAULT_SEARCH
    reranker: Reranker | None = Field(default=None, exclude=True)
    rerank_candidates: int = Field(default=50, ge=1)
    rerank_threshold: float | None = None
    retrieval_weight: float = 0.0
    normalize: bool = False
    rewriter: Rewriter | Callable[[str], Sequence[QueryText]] | None = Field(
        default=None, exclude=True
    )
    metadata_key: str | None = "trivec"

    @model_validator(mode="after")
    def _check(self) -> TrivecRetriever:
        """Find out now, not at the first question, what cannot be searched so."""
        self.index.arms(self._search_options({}))
        self._ranking(self.k)
        return self

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **arguments: Any
    ) -> list[Document]:
        del run_manager
        k, filter, options = self._arguments(arguments)
        hits = self.index.search(self._texts(query), self._depth(k), filter=filter, options=options)
        return self._ranked(query, hits, k)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **arguments: Any
    ) -> list[Document]:
        del run_manager
        k, filter, options = self._arguments(arguments)
        texts = await self._atexts(query)
        index = self.async_index or AsyncHybridIndex(self.index)
        hits = await index.search(texts, self._depth(k), filter=filter, options=options)
        if self.reranker is None:
            return self._ranked(query, hits, k)
        return await run_in_executor(None, self._ranked, query, hits, k)

    def _arguments(self, arguments: Mapping[str, Any]) -> tuple[int, Any, SearchOptions]:
        """Return ``k``, filter and options of one call."""
        overrides = dict(arguments)
        k = overrides.pop("k", self.k)
        filter = filter_of(
            overrides.pop("filter", self.filter), overrides.pop("ids", self.ids), self.index
        )
        return k, filter, self._search_options(overrides)

    def _search_options(self, overrides: Mapping[str, Any]) -> SearchOptions:
        own = {
            "fusion": self.fusion,
            "colbert": self.colbert,
            "explain": self.explain or None,
            "arms": self.arms,
        }
        options = search_options(
            self.options, {name: value for name, value in own.items() if value is not None}
        )
        if self.weights:
            arms = self.index.arms(options)
            if stray := sorted(set(self.weights) - set(arms)):
                raise InputError(f"weights for {stray}, which are not among the arms {list(arms)}")
            options = search_options(options, {"arms": {**arms, **self.weights}})
        return search_options(options, overrides)

    def _texts(self, query: str) -> str | Sequence[QueryText]:
        if self.rewriter is None:
            return query
        if isinstance(self.rewriter, Rewriter):
            return self.rewriter.rewrite(query).query_texts()
        return self.rewriter(query)

    async def _atexts(self, query: str) -> str | Sequence[QueryText]:
        if isinstance(self.rewriter, Rewriter):
            return (await self.rewriter.arewrite(query)).query_texts()
        return query if self.rewriter is None else await run_in_executor(None, self._texts, query)

    def _depth(self, k: int) -> int:
        return k if self.reranker is None or k == 0 else max(k, self.rerank_candidates)

    def _ranked(self, query: str, hits: Sequence[Hit], k: int) -> list[Document]:
        documents = [self._document(hit) for hit in hits]
        if self.reranker is None:
            return documents
        texts = [hit.chunk.text for hit in hits]
        scores = [hit.score for hit in hits]
        order = rank(self.reranker, query, texts, self._ranking(k), retrieved=scores)
        return [with_relevance(documents[ranked.position], ranked.score) for ranked in order]

    def _ranking(self, k: int) -> RankingOptions:
        return RankingOptions(
            top_n=k,
            threshold=self.rerank_threshold,
            normalize=self.normalize,
            retrieval_weight=self.retrieval_weight,
        )

    def _document(self, hit: Hit) -> Document:
        document = document_of(hit.chunk)
        if self.metadata_key is not None and self.metadata_key not in document.metadata:
            retrieval = Found(score=hit.score)
            if hit.arms:
                retrieval["arms"] = dict(hit.arms)
                retrieval["matches"] = [asdict(match) for match in hit.matches]
                retrieval["parts"] = [{**asdict(part), "why": part.why} for part in hit.parts]
            document.metadata[self.metadata_key] = retrieval
        return document

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        """Fill LangSmith's fields: the store, and the model that wrote the vectors."""
        params = super()._get_ls_params(**kwargs)
        params["ls_vector_store_provider"] = "trivec"
        params["ls_embedding_provider"] = type(as_embeddings(self.index.encoder)).__name__
        fingerprint = self.index.schema.fingerprint
        if fingerprint is not None:
            params["ls_embedding_model"] = fingerprint.encoder.model
        return params
