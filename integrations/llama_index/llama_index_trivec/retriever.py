"""A LlamaIndex retriever over every arm of a trivec index, encoding each query once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import llama_index.core.instrumentation as instrument
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from llama_index_trivec._convert import node_of, scored_node_of
from llama_index_trivec._searching import filter_of, is_blank_query, query_texts
from llama_index_trivec.embeddings import ObservedEncoder
from trivec.errors import InputError
from trivec.index import AsyncHybridIndex, HybridIndex
from trivec.protocols import AsyncStore
from trivec.types import SearchOptions

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["TrivecRetriever"]

dispatcher = instrument.get_dispatcher(__name__)  # type: ignore[attr-defined]  # no __all__


class TrivecRetriever(BaseRetriever):
    """Finds nodes by dense, sparse and BM25 vectors at once, with one forward for each query.

    A query bundle's ``custom_embedding_strs`` are separate query texts on every arm, sparse and
    BM25 included, and are fused in the engine; without them ``query_str`` is the text. A bundle
    without any text is searched for by its ``embedding`` on the dense arm. A blank query of a
    retriever with ``filters`` gives what matches them, without scores.

    With ``SearchOptions(explain=True)`` the exact score of every arm and the matched terms lie in
    ``node.metadata["trivec"]``, which neither prompts nor embeddings show.

    Args:
        index: the opened index.
        similarity_top_k: how many nodes.
        filters: LlamaIndex's ``MetadataFilters``, a ``models.Filter``, or the core's shorthand.
        options: arms, fusion, ColBERT, MMR, thresholds, explanation.
        query_transform: runs before every search, in a worker thread where that is awaited.
        async_store: an asynchronous store of the same collection; None uses worker threads.
        callback_manager: LlamaIndex's callbacks.
        object_map: what ``IndexNode`` ids stand for.
        objects: the same, as nodes.
        verbose: whether LlamaIndex prints what it follows.

    Raises:
        InputError: ``similarity_top_k`` is below 1.

    Example:
        >>> retriever = TrivecRetriever(index, similarity_top_k=5)  # doctest: +SKIP
        >>> retriever.retrieve("which fruit has more vitamin C than an orange?")  # doctest: +SKIP
    """

    def __init__(
        self,
        index: HybridIndex,
        *,
        similarity_top_k: int = 10,
        filters: MetadataFilters | models.Filter | Mapping[str, Any] | None = None,
        options: SearchOptions | None = None,
        query_transform: BaseQueryTransform | None = None,
        async_store: AsyncStore | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        if similarity_top_k < 1:
            raise InputError(f"similarity_top_k={similarity_top_k}; it must be at least 1")
        super().__init__(callback_manager, object_map, objects, verbose)
        self._index = index.with_encoder(ObservedEncoder(index.encoder))
        self._async_index = AsyncHybridIndex(self._index, async_store)
        self._k = similarity_top_k
        self._filter = filter_of(filters, index)
        self._options = options or SearchOptions()
        self._query_transform = query_transform

    @property
    def index(self) -> HybridIndex:
        """The index that is searched."""
        return self._index

    def _get_prompt_modules(self) -> PromptMixinType:
        return {} if self._query_transform is None else {"query_transform": self._query_transform}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._filter is not None and is_blank_query(query_bundle):
            return self._matching()
        bundle = self._transformed(query_bundle)
        hits = self._index.search(
            query_texts(bundle), self._k, filter=self._filter, options=self._options
        )
        return [scored_node_of(hit) for hit in hits]

    @dispatcher.span
    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._filter is not None and is_blank_query(query_bundle):
            return await asyncio.to_thread(self._matching)
        bundle = query_bundle
        if self._query_transform is not None:
            bundle = await asyncio.to_thread(self._transformed, query_bundle)
        hits = await self._async_index.search(
            query_texts(bundle), self._k, filter=self._filter, options=self._options
        )
        return [scored_node_of(hit) for hit in hits]

    def _matching(self) -> list[NodeWithScore]:
        """Return what matches the filters, for a query without a text."""
        chunks = islice(self._index.chunks(self._filter), self._k)
        return [NodeWithScore(node=node_of(chunk)) for chunk in chunks]

    def _transformed(self, bundle: QueryBundle) -> QueryBundle:
        return bundle if self._query_transform is None else self._query_transform.run(bundle)
