"""A LangChain vector store over a :class:`trivec.HybridIndex`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor

from langchain_trivec._convert import chunk_of, document_of, filter_of, listed_texts
from langchain_trivec._searching import SearchMethods
from langchain_trivec.embeddings import as_embeddings, as_encoder
from trivec.adapters import own_text, warn_of_losses
from trivec.errors import InputError
from trivec.index import DEFAULT_SEARCH, AsyncHybridIndex, HybridIndex, IndexConfig
from trivec.protocols import Encoder, Store
from trivec.query import Filter, qdrant
from trivec.text import clean
from trivec.types import AddReport, Chunk, SearchOptions

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient

__all__ = ["TrivecVectorStore"]

logger = logging.getLogger(__name__)

LANGCHAIN_LAYOUT = IndexConfig(codec="langchain", scoped_ids=False)  # an id is a document's alone


class TrivecVectorStore(SearchMethods):
    """Documents in a trivec index: dense, learned sparse and BM25 search, fused by the engine.

    Every search method takes, besides ``k`` and ``filter``, the fields of
    :class:`trivec.SearchOptions` by name (``arms``, ``fusion``, ``offset``, ``colbert``, ...); so
    do the ``search_kwargs`` of :meth:`as_retriever`. A filter is a ``models.Filter`` of
    qdrant-client or a dict over metadata keys. Documents come back equal to those that were
    added, with ``id`` set.

    The asynchronous methods await Qdrant's asynchronous client where the store was given one; on
    the embedded engine they run in worker threads. The event loop never waits.

    Args:
        index: the opened index. Closing it is its opener's business.
        options: how to search where a call does not say.
        async_index: the same collection over an asynchronous store.
        on_report: called with the :class:`trivec.AddReport` of every addition; LangChain's
            ``index()`` makes one for each batch. :attr:`last_report` is the last.

    Example:
        >>> store = TrivecVectorStore.from_texts(  # doctest: +SKIP
        ...     ["one", "two"], load_encoder("BAAI/bge-m3"), location="./kb"
        ... )
        >>> store.similarity_search("uno", k=1, filter={"lang": "en"})  # doctest: +SKIP
    """

    def __init__(
        self,
        index: HybridIndex,
        *,
        options: SearchOptions = DEFAULT_SEARCH,
        async_index: AsyncHybridIndex | None = None,
        on_report: Callable[[AddReport], None] | None = None,
    ) -> None:
        super().__init__(index, async_index or AsyncHybridIndex(index), options)
        self._on_report = on_report
        self._last_report = AddReport()

    @property
    def last_report(self) -> AddReport:
        """What the last addition added, updated, skipped, cut off and refused."""
        return self._last_report

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings that the store was given, or the encoder's dense head."""
        return as_embeddings(self._index.encoder)

    @classmethod
    def open(
        cls,
        location: str | Path | QdrantClient | Store,
        embedding: Embeddings | Encoder,
        *,
        collection_name: str | None = None,
        config: IndexConfig | None = None,
        create: bool = True,
        adopt: bool = False,
        tenant: str | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        async_client: AsyncQdrantClient | None = None,
        on_report: Callable[[AddReport], None] | None = None,
    ) -> Self:
        """Open a collection, or create it where there is none.

        Args:
            location: a folder (embedded engine), a ``QdrantClient``, or a trivec store.
            embedding: a trivec encoder, or any LangChain embeddings, which are only dense.
            collection_name: name of the collection on a server.
            config: what a new collection stores; by default every arm that the encoder can fill,
                in langchain-qdrant's payload layout.
            create: False raises where there is no collection.
            adopt: take a collection that trivec did not write as written by these embeddings.
            tenant: keep to this tenant's documents.
            options: how to search where a call does not say.
            async_client: the same server, for the asynchronous methods.
            on_report: called with the report of every addition.

        Raises:
            CollectionNotFoundError: there is no collection and ``create`` is False.
            FingerprintMismatchError: another model wrote it.
            InputError: an argument that cannot be used.
        """
        index = HybridIndex.open(
            location,
            as_encoder(embedding),
            collection=collection_name,
            config=config or (None if adopt else LANGCHAIN_LAYOUT),  # adopting finds the layout out
            create=create,
            adopt=adopt,
            tenant=tenant,
        )
        async_index = None
        if async_client is not None:
            if collection_name is None:
                raise InputError("async_client goes with a QdrantClient and a collection_name")
            from trivec.stores import AsyncServerStore

            on_demand = config is None or config.index_on_demand
            async_store = AsyncServerStore(async_client, collection_name, index_on_demand=on_demand)
            async_index = AsyncHybridIndex(index, async_store)
        return cls(index, options=options, async_index=async_index, on_report=on_report)

    @classmethod
    def from_existing_collection(
        cls,
        collection_name: str | None,
        embedding: Embeddings | Encoder,
        *,
        location: str | Path | QdrantClient | Store,
        config: IndexConfig | None = None,
        adopt: bool = False,
        tenant: str | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        async_client: AsyncQdrantClient | None = None,
    ) -> Self:
        """Open a collection that is there already; see :meth:`open` for the arguments.

        A collection that langchain-qdrant wrote opens with ``adopt=True``, which says that these
        embeddings wrote its dense vectors. A sparse vector of another model is left alone;
        ``store.index.add_arm("sparse")`` adds BGE-M3's beside it.
        """
        return cls.open(
            location,
            embedding,
            collection_name=collection_name,
            config=config,
            create=False,
            adopt=adopt,
            tenant=tenant,
            options=options,
            async_client=async_client,
        )

    @classmethod
    def from_texts(  # type: ignore[override]  # a trivec encoder is taken too; `location` has no default
        cls,
        texts: Iterable[str],
        embedding: Embeddings | Encoder,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        location: str | Path | QdrantClient | Store,
        ids: Sequence[str | None] | None = None,
        **opening: Any,
    ) -> Self:
        """Open a collection, creating it where there is none, and add texts.

        Args:
            texts: what to add.
            embedding: see :meth:`open`, as the arguments that follow.
            metadatas: one for each text.
            location: where the collection is.
            ids: one for each text.
            **opening: further arguments of :meth:`open`.
        """
        store = cls.open(location, embedding, **opening)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(  # type: ignore[override]  # as from_texts
        cls,
        texts: Iterable[str],
        embedding: Embeddings | Encoder,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        location: str | Path | QdrantClient | Store,
        ids: Sequence[str | None] | None = None,
        **opening: Any,
    ) -> Self:
        """As :meth:`from_texts`; the collection is opened in a worker thread."""
        store = await run_in_executor(None, cls.open, location, embedding, **opening)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        strict: bool = False,
        **unknown: Any,
    ) -> list[str]:
        """Add texts; see :meth:`add_documents`.

        Raises:
            InputError: there are not as many metadatas or ids as texts.
        """
        return self.add_documents(_documents(texts, metadatas), ids=ids, strict=strict, **unknown)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        strict: bool = False,
        **unknown: Any,
    ) -> list[str]:
        """Add texts; see :meth:`add_documents`."""
        return await self.aadd_documents(
            _documents(texts, metadatas), ids=ids, strict=strict, **unknown
        )

    def add_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        strict: bool = False,
        batch_size: int | None = None,  # noqa: ARG002  # index() passes it
        **unknown: Any,
    ) -> list[str]:
        """Add documents or replace those with the same ids; unchanged text is not encoded again.

        Documents that cannot be stored (blank text, metadata that is no JSON) are left out and the
        others stored. One warning counts them, and :attr:`last_report` names them with reasons;
        so it does those that are longer than the model reads.

        Args:
            documents: what to add; they are not changed.
            ids: one for each, any text; wins over ``Document.id``. Where neither is given, a uuid5
                of text and metadata, so that adding twice changes nothing.
            strict: raise where documents were left out, after all others were stored.
            batch_size: taken for LangChain's ``index()``; ``IndexConfig.batch_size`` decides.
            **unknown: none is allowed.

        Returns:
            The ids of the documents that are stored, in their order.

        Raises:
            InputError: a wrong number of ids; with ``strict``, documents that were left out, named
                with the reasons.
        """
        chunks = _chunks(documents, ids, unknown)
        return self._stored(chunks, self._index.add(chunks), strict=strict)

    async def aadd_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        strict: bool = False,
        batch_size: int | None = None,  # noqa: ARG002  # aindex() passes it
        **unknown: Any,
    ) -> list[str]:
        """Add documents; see :meth:`add_documents`."""
        chunks = _chunks(documents, ids, unknown)
        return self._stored(chunks, await self._async_index.add(chunks), strict=strict)

    def _stored(self, chunks: Sequence[Chunk], report: AddReport, *, strict: bool) -> list[str]:
        """Tell of a report; return the ids of what is stored."""
        self._last_report = report
        if self._on_report is not None:
            self._on_report(report)
        if strict:
            report.require_complete()
        warn_of_losses(report, logger)
        refused = Counter(refusal.id for refusal in report.refused)
        stored = []
        for chunk in reversed(chunks):  # of an id given twice the first is stored
            given = own_text(chunk.id)
            if refused[clean(given)]:
                refused[clean(given)] -= 1
            else:
                stored.append(given)
        return stored[::-1]

    def delete(
        self,
        ids: Sequence[str] | None = None,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> bool:
        """Delete documents by id, by filter, by both; without either, as LangChain says, all.

        Unknown ids are no error. A tenant's store deletes that tenant's documents only.
        """
        _refuse(unknown, "ids, filter")
        scope = filter_of(_everything(ids, filter), None, self._index)
        self._index.delete(ids=ids, filter=scope)
        return True

    async def adelete(
        self,
        ids: Sequence[str] | None = None,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> bool:
        """Delete documents; see :meth:`delete`."""
        _refuse(unknown, "ids, filter")
        scope = filter_of(_everything(ids, filter), None, self._index)
        await self._async_index.delete(ids=ids, filter=scope)
        return True

    def ensure_payload_index(self, key: str, kind: str | None = None) -> str:
        """Index a key of the metadata; see :meth:`trivec.HybridIndex.ensure_payload_index`."""
        return self._index.ensure_payload_index(key, kind)

    async def aensure_payload_index(self, key: str, kind: str | None = None) -> str:
        """Index a key of the metadata; see :meth:`ensure_payload_index`."""
        return await self._async_index.ensure_payload_index(key, kind)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents with these ids, in the order given; unknown ids are left out."""
        return [document_of(chunk) for chunk in self._index.get(ids)]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return documents by id; see :meth:`get_by_ids`."""
        return [document_of(chunk) for chunk in await self._async_index.get(ids)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._index!r})"


def _documents(
    texts: Iterable[str], metadatas: Sequence[Mapping[str, Any] | None] | None
) -> list[Document]:
    listed = listed_texts("texts", texts)
    given = [None for _ in listed] if metadatas is None else list(metadatas)
    if isinstance(metadatas, Mapping):
        raise InputError("metadatas is one dict; give a list of them, one for each text")
    if len(given) != len(listed):
        raise InputError(f"{len(given)} metadatas for {len(listed)} texts; give one for each")
    return [
        Document(page_content=text, metadata=dict(metadata or {}))
        for text, metadata in zip(listed, given, strict=True)
    ]


def _chunks(
    documents: Iterable[Document] | object,
    ids: Sequence[str | None] | None,
    unknown: Mapping[str, Any],
) -> list[Chunk]:
    _refuse(unknown, "ids, batch_size, strict")
    if isinstance(documents, Document):
        raise InputError("documents is one Document; give a list: documents=[document]")
    listed = listed_texts("documents", documents)
    given = [None] * len(listed) if ids is None else listed_texts("ids", ids)
    if len(given) != len(listed):
        raise InputError(f"{len(given)} ids for {len(listed)} documents; give one for each")
    return [chunk_of(document, identity) for document, identity in zip(listed, given, strict=True)]


def _refuse(unknown: Mapping[str, Any], allowed: str) -> None:
    if unknown:
        raise InputError(f"unknown arguments {sorted(unknown)}; allowed: {allowed}")


def _everything(
    ids: Sequence[str] | None, filter: Filter | Mapping[str, Any] | None
) -> Filter | Mapping[str, Any] | None:
    """Return the filter of a deletion: one that everything passes, where nothing was given."""
    if ids is not None or filter is not None:
        return filter
    return qdrant.Filter()
