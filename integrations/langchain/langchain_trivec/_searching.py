"""The searching half of the vector store: every way in which LangChain asks, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever

from langchain_trivec._convert import document_of, filter_of, search_options
from trivec.adapters import shown
from trivec.arms import DENSE
from trivec.errors import InputError
from trivec.index import AsyncHybridIndex, HybridIndex
from trivec.query import Filter
from trivec.types import Hit, SearchOptions

__all__ = ["SearchMethods"]

_OF_A_RETRIEVER = ("k", "filter", "ids", "fetch_k", "lambda_mult", "score_threshold")
"""What a retriever passes to searches besides the fields of ``SearchOptions``."""


class SearchMethods(VectorStore):
    """The searches of :class:`~langchain_trivec.TrivecVectorStore`.

    Args:
        index: what the synchronous methods search.
        async_index: what the asynchronous ones search.
        options: how to search where a call does not say.
    """

    def __init__(
        self, index: HybridIndex, async_index: AsyncHybridIndex, options: SearchOptions
    ) -> None:
        self._index = index
        self._async_index = async_index
        self._options = options

    @property
    def index(self) -> HybridIndex:
        """The index that holds the documents."""
        return self._index

    @property
    def async_index(self) -> AsyncHybridIndex:
        """The index as the asynchronous methods use it."""
        return self._async_index

    def similarity_search(
        self,
        query: str,
        k: int = 4,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the documents that answer a query, best first.

        Args:
            query: the question.
            k: how many.
            filter: a ``models.Filter``, or a dict over metadata keys; ``id`` is the document's own
                where the metadata has none of that name.
            **overrides: fields of ``SearchOptions`` for this call; ``ids`` searches among the
                documents with these ids alone.

        Raises:
            InputError: a blank query, a negative ``k``, an unknown argument or arm.
            FilterError: a filter that cannot be understood.
        """
        return _documents_of(self._index.search(query, k, **self._arguments(filter, overrides)))

    async def asimilarity_search(
        self,
        query: str,
        k: int = 4,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return documents; see :meth:`similarity_search`."""
        arguments = self._arguments(filter, overrides)
        return _documents_of(await self._async_index.search(query, k, **arguments))

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[tuple[Document, float]]:
        """Return documents with the score that their order follows, higher is better.

        Of the dense arm alone that is the cosine; a fused score has a meaning within its own list
        only.
        """
        return _scored(self._index.search(query, k, **self._arguments(filter, overrides)))

    async def asimilarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[tuple[Document, float]]:
        """Return documents with scores; see :meth:`similarity_search_with_score`."""
        arguments = self._arguments(filter, overrides)
        return _scored(await self._async_index.search(query, k, **arguments))

    def similarity_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the documents whose dense vectors are nearest to ``(dense_dim,)`` floats.

        Raises:
            InvalidVectorError: a vector of another size, or one that holds NaN.
        """
        arguments = self._dense_arguments(filter, overrides)
        return _documents_of(self._index.search_by_vector(embedding, k, **arguments))

    async def asimilarity_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the nearest documents; see :meth:`similarity_search_by_vector`."""
        arguments = self._dense_arguments(filter, overrides)
        return _documents_of(await self._async_index.search_by_vector(embedding, k, **arguments))

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return documents that answer the query and differ from each other.

        Args:
            query: the question.
            k: how many.
            fetch_k: how many of the best are chosen from; they are found by every arm.
            lambda_mult: 1 is relevance alone, 0 diversity alone, both by dense vectors.
            filter: a ``models.Filter``, or a dict over metadata keys.
            **overrides: fields of ``SearchOptions`` for this call.
        """
        overrides |= _diversity(k, fetch_k, lambda_mult)
        return self.similarity_search(query, k, filter, **overrides)

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return diverse documents; see :meth:`max_marginal_relevance_search`."""
        overrides |= _diversity(k, fetch_k, lambda_mult)
        return await self.asimilarity_search(query, k, filter, **overrides)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return diverse documents near a dense vector of ``(dense_dim,)`` floats."""
        overrides |= _diversity(k, fetch_k, lambda_mult)
        return self.similarity_search_by_vector(embedding, k, filter, **overrides)

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return diverse documents near a dense vector of ``(dense_dim,)`` floats."""
        overrides |= _diversity(k, fetch_k, lambda_mult)
        return await self.asimilarity_search_by_vector(embedding, k, filter, **overrides)

    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """Return a retriever over this store; what a search takes may be given here.

        Args:
            **kwargs: fields of ``VectorStoreRetriever`` (``search_type``, ``search_kwargs``,
                ``tags``, ``metadata``, ``name``), and what :meth:`similarity_search` takes: ``k``,
                ``filter``, ``ids`` and the fields of ``SearchOptions``.

        Raises:
            InputError: an unknown argument, or one that ``search_kwargs`` gives otherwise.
        """
        fields = {key: kwargs[key] for key in kwargs if key in VectorStoreRetriever.model_fields}
        named = {key: value for key, value in kwargs.items() if key not in fields}
        search = dict(fields.pop("search_kwargs", None) or {})
        if twice := [key for key in named if key in search and search[key] != named[key]]:
            raise InputError(f"{twice} are given twice, in search_kwargs too; leave one out")
        search |= named
        own = {key: value for key, value in search.items() if key not in _OF_A_RETRIEVER}
        search_options(self._options, own)
        return super().as_retriever(search_kwargs=search, **fields)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Return langchain-qdrant's scale for cosines: -1 becomes 0, and 1 stays 1."""
        return lambda cosine: min(1.0, max(0.0, (cosine + 1.0) / 2.0))

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        self._require_cosines(kwargs)
        return super()._similarity_search_with_relevance_scores(query, k, **kwargs)

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        self._require_cosines(kwargs)
        return await super()._asimilarity_search_with_relevance_scores(query, k, **kwargs)

    def _require_cosines(self, arguments: Mapping[str, Any]) -> None:
        """Raise where the scores of a search would not be cosines.

        Raises:
            InputError: says how to search by the dense arm alone.
        """
        overrides = {
            name: value for name, value in arguments.items() if name not in ("filter", "ids")
        }
        options = search_options(self._options, overrides)
        arms = self._index.arms(options)
        if list(arms) != [DENSE.name] or options.colbert is not None:
            raise InputError(
                f"the arms {list(arms)} give a fused score, which is not a relevance between "
                "0 and 1; pass arms=['dense'] for relevance scores and score_threshold, or rerank "
                "(CrossEncoderCompressor has a threshold)"
            )

    def _arguments(
        self, filter: Filter | Mapping[str, Any] | None, overrides: Mapping[str, Any]
    ) -> dict[str, Any]:
        return self._filtered(filter, overrides, self._options)

    def _filtered(
        self,
        filter: Filter | Mapping[str, Any] | None,
        overrides: Mapping[str, Any],
        options: SearchOptions,
    ) -> dict[str, Any]:
        given = dict(overrides)
        scope = filter_of(filter, given.pop("ids", None), self._index)
        return {"filter": scope, "options": search_options(options, given)}

    def _dense_arguments(
        self, filter: Filter | Mapping[str, Any] | None, overrides: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The store's own arms and ColBERT need a text, so only a call's own options count."""
        options = replace(self._options, arms=(DENSE.name,), colbert=None, explain=False)
        return self._filtered(filter, overrides, options)


def _diversity(k: int, fetch_k: int, lambda_mult: float) -> dict[str, Any]:
    given: Mapping[str, tuple[object, type]] = {
        "k": (k, Integral),
        "fetch_k": (fetch_k, Integral),
        "lambda_mult": (lambda_mult, Real),
    }
    for name, (value, kind) in given.items():
        if not isinstance(value, kind):
            raise InputError(f"{name}={shown(value)}; give a number")
    return {"mmr_lambda": float(lambda_mult), "mmr_candidates": max(1, fetch_k, k)}


def _documents_of(hits: Iterable[Hit]) -> list[Document]:
    return [document_of(hit.chunk) for hit in hits]


def _scored(hits: Iterable[Hit]) -> list[tuple[Document, float]]:
    return [(document_of(hit.chunk), hit.score) for hit in hits]
