"""A trivec index as a LlamaIndex vector store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index_trivec._convert import chunks_of, node_of, scored_node_of
from llama_index_trivec._searching import Search, filter_of, require_ids, search_of
from llama_index_trivec.embeddings import BGEM3Embedding
from trivec.adapters import shown, warn_of_losses
from trivec.encoders import MemoEncoder
from trivec.errors import InputError
from trivec.index import AsyncHybridIndex, HybridIndex
from trivec.protocols import AsyncStore
from trivec.query import qdrant
from trivec.types import ALL_HEADS, AddReport, Chunk, Hit, Refusal, SearchOptions

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["TrivecVectorStore"]

logger = logging.getLogger(__name__)

COLBERT_MEMO = 512
"""Texts remembered with their ColBERT rows, each as large as some hundred dense vectors."""


class TrivecVectorStore(BasePydanticVectorStore):
    """A :class:`trivec.HybridIndex` for ``VectorStoreIndex``, ``IngestionPipeline`` and the like.

    Nodes are stored whole: type, relationships, excluded keys and metadata come back as they were.
    The index computes sparse and BM25 vectors itself. Use :attr:`embed_model` for the dense ones:
    it shares the index's memo, so that every text is encoded once. The embedding that a node
    brings is never stored; another model's would not be comparable.

    Query modes: ``DEFAULT`` and ``MMR`` (dense), ``SPARSE`` (learned sparse), ``TEXT_SEARCH``
    (BM25) and ``HYBRID`` (all arms). ``alpha`` weighs dense (1) against the lexical arms (0);
    without it the fusion of ``options`` applies. ``TEXT_MATCH`` filters find an exact substring,
    ``TEXT_MATCH_INSENSITIVE`` all the words in any case.

    An index that stores ColBERT rows remembers only the last 512 texts: then give
    ``VectorStoreIndex`` an ``insert_batch_size`` of at most that.

    Args:
        index: the opened index.
        async_store: an asynchronous store of the same collection for the asynchronous methods;
            None runs the index's own in worker threads.
        options: how hybrid queries are carried out.
        strict: raise where nodes were left out, after all others were stored. An
            ``IngestionPipeline`` then adds the document again at its next run.
        on_report: called with the :class:`trivec.AddReport` of every addition;
            :attr:`last_report` is the last.

    Example:
        >>> index = HybridIndex.open("./kb", load_encoder("mini"))  # doctest: +SKIP
        >>> store = TrivecVectorStore(index)  # doctest: +SKIP
        >>> VectorStoreIndex.from_vector_store(store, store.embed_model)  # doctest: +SKIP
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    _index: HybridIndex = PrivateAttr()
    _async_index: AsyncHybridIndex = PrivateAttr()
    _options: SearchOptions = PrivateAttr()
    _strict: bool = PrivateAttr()
    _on_report: Callable[[AddReport], None] | None = PrivateAttr()
    _last_report: AddReport = PrivateAttr()

    def __init__(
        self,
        index: HybridIndex,
        *,
        async_store: AsyncStore | None = None,
        options: SearchOptions | None = None,
        strict: bool = False,
        on_report: Callable[[AddReport], None] | None = None,
    ) -> None:
        super().__init__(stores_text=True)
        self._strict = strict
        self._on_report = on_report
        self._last_report = AddReport()
        self._index = index.with_encoder(_memo(index))
        self._async_index = AsyncHybridIndex(self._index, async_store)
        self._options = options or SearchOptions()

    @classmethod
    def class_name(cls) -> str:
        """Return the name that serialised components carry."""
        return "TrivecVectorStore"

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to be pickled: LlamaIndex would leave the index out and say nothing.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "a TrivecVectorStore holds an open index and cannot be pickled; open it again where "
            "it is needed"
        )

    @property
    def client(self) -> HybridIndex:
        """The index."""
        return self._index

    @property
    def last_report(self) -> AddReport:
        """What the last addition added, updated, skipped, cut off and refused."""
        return self._last_report

    @property
    def embed_model(self) -> BGEM3Embedding:
        """The dense embedding model of the index, with which every text is encoded once."""
        return BGEM3Embedding(self._index.encoder)

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes or update them; those that are there unchanged are not encoded.

        Nodes that cannot be stored (a blank one, metadata that is no JSON) are left out and the
        others stored. One warning counts them, and :attr:`last_report` names them with reasons;
        so it does those that are longer than the model reads.

        Returns:
            The ids of the nodes given, in their order.

        Raises:
            InputError: it is no list of nodes; of a ``strict`` store, nodes that were left out.
        """
        _refuse_arguments(kwargs)
        chunks, refused = chunks_of(nodes)
        self._tell(self._index.add(chunks), refused)
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes; see :meth:`add`."""
        _refuse_arguments(kwargs)
        chunks, refused = chunks_of(nodes)
        self._tell(await self._async_index.add(chunks), refused)
        return [node.node_id for node in nodes]

    def _tell(self, report: AddReport, refused: Sequence[Refusal]) -> None:
        self._last_report = replace(report, refused=(*refused, *report.refused))
        if self._on_report is not None:
            self._on_report(self._last_report)
        if self._strict:
            self._last_report.require_complete()
        warn_of_losses(self._last_report, logger)

    def delete(self, ref_doc_id: str | None = None, **delete_kwargs: Any) -> None:
        """Delete the nodes of a source document.

        Raises:
            InputError: no document was named.
        """
        self._index.delete(source=_named_document(ref_doc_id, delete_kwargs))

    async def adelete(self, ref_doc_id: str | None = None, **delete_kwargs: Any) -> None:
        """Delete the nodes of a source document; see :meth:`delete`."""
        await self._async_index.delete(source=_named_document(ref_doc_id, delete_kwargs))

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes with these ids that match the filters.

        Raises:
            InputError: neither was given; :meth:`clear` deletes everything.
        """
        _refuse_arguments(delete_kwargs)
        self._index.delete(ids=node_ids, filter=filter_of(filters, self._index))

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete nodes; see :meth:`delete_nodes`."""
        _refuse_arguments(delete_kwargs)
        scope = filter_of(filters, self._index)
        await self._async_index.delete(ids=node_ids, filter=scope)

    def clear(self) -> None:
        """Delete every node; the collection stays."""
        self._index.delete(filter=_everything())

    async def aclear(self) -> None:
        """Delete every node; the collection stays."""
        await self._async_index.delete(filter=_everything())

    def ensure_payload_index(self, key: str, kind: str | None = None) -> str:
        """Index a key of the metadata; see :meth:`trivec.HybridIndex.ensure_payload_index`."""
        return self._index.ensure_payload_index(key, kind)

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """Return the nodes with these ids, in their order, that match the filters.

        Without ids: all that match, in no promised order. Unknown ids are left out.
        """
        scope = filter_of(filters, self._index)
        if node_ids is not None:
            require_ids(node_ids)
        if node_ids is None:
            return [node_of(chunk) for chunk in self._index.chunks(scope)]
        if scope is None:
            return [node_of(chunk) for chunk in self._index.get(node_ids)]
        matching = {str(chunk.id): chunk for chunk in self._index.chunks(scope)}
        return [node_of(matching[identity]) for identity in node_ids if identity in matching]

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """Return nodes; see :meth:`get_nodes`."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aensure_payload_index(self, key: str, kind: str | None = None) -> str:
        """Index a key of the nodes' metadata; see :meth:`ensure_payload_index`."""
        return await self._async_index.ensure_payload_index(key, kind)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Find nodes.

        A query with filters, source documents or nodes, and neither text nor embedding, gives what
        matches them, in no promised order and without similarities.

        Args:
            query: what to find; see the class for its modes.
            **kwargs: ``mmr_threshold``, for MMR: 1 is relevance alone, 0 diversity alone;
                ``qdrant_filters``, a ``models.Filter`` in place of the query's own filters, as
                ``QdrantVectorStore`` takes it; nothing else.

        Raises:
            InputError: a mode, field or argument that is not supported.
            FilterError: a filter that cannot be expressed.
        """
        search = self._search_of(query, kwargs)
        if search.by_filter_alone:
            return _listed(islice(self._index.chunks(search.filter), search.k))
        hits = self._index.search(
            search.text, search.k, filter=search.filter, options=search.options
        )
        return _result(hits)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Find nodes; see :meth:`query`."""
        given = dict(kwargs)
        search = self._search_of(query, kwargs)
        if search.by_filter_alone:
            return await asyncio.to_thread(self.query, query, **given)
        hits = await self._async_index.search(
            search.text, search.k, filter=search.filter, options=search.options
        )
        return _result(hits)

    def _search_of(self, query: VectorStoreQuery, kwargs: dict[str, Any]) -> Search:
        if not isinstance(query, VectorStoreQuery):
            raise InputError(f"query={shown(query)}; give a VectorStoreQuery")
        own_filter = kwargs.pop("qdrant_filters", None)
        threshold = kwargs.pop("mmr_threshold", query.mmr_threshold)
        _refuse_arguments(kwargs)
        query = replace(query, mmr_threshold=threshold)
        return search_of(query, self._index, self._options, own_filter)


def _memo(index: HybridIndex) -> MemoEncoder:
    """Return a memo for what the index stores: the one that its encoder's other users share."""
    heads = tuple(head for head in ALL_HEADS if head in index.schema.written)
    if "colbert" in heads and not isinstance(index.encoder, MemoEncoder):
        return MemoEncoder(index.encoder, heads=heads, size=COLBERT_MEMO)
    return MemoEncoder.shared(index.encoder)


def _everything() -> models.Filter:
    return qdrant.Filter()


def _listed(chunks: Iterable[Chunk]) -> VectorStoreQueryResult:
    nodes = [node_of(chunk) for chunk in chunks]
    return VectorStoreQueryResult(nodes=nodes, ids=[node.node_id for node in nodes])


def _result(hits: Sequence[Hit]) -> VectorStoreQueryResult:
    scored = [scored_node_of(hit) for hit in hits]
    return VectorStoreQueryResult(
        nodes=[node.node for node in scored],
        similarities=[hit.score for hit in hits],
        ids=[hit.id for hit in hits],
    )


def _named_document(ref_doc_id: str | None, arguments: dict[str, Any]) -> str:
    if ref_doc_id is None:
        given = f"{sorted(arguments)} instead of ref_doc_id" if arguments else "no ref_doc_id"
        raise InputError(
            f"{given}; give the id of one source document, and call once for each, or "
            "delete_nodes(node_ids) and delete_nodes(filters=...) for nodes"
        )
    _refuse_arguments(arguments)
    return ref_doc_id


def _refuse_arguments(arguments: dict[str, Any]) -> None:
    if arguments:
        raise InputError(f"unknown arguments {sorted(arguments)}; leave them out")
