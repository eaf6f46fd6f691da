"""LlamaIndex's filters and vector store queries as the core's searches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.schema import QueryBundle
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from trivec.adapters import shown
from trivec.arms import BM25, DENSE, LEXICAL, SPARSE
from trivec.errors import FilterError, InputError
from trivec.fusion import FUSIONS
from trivec.index import HybridIndex
from trivec.payloads import Field
from trivec.query import qdrant
from trivec.schema import MAX_DEPTH
from trivec.stores import as_filter
from trivec.types import FloatArray, QueryText, SearchOptions

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = [
    "RewrittenQuery",
    "Search",
    "filter_of",
    "is_blank_query",
    "query_texts",
    "require_ids",
    "search_of",
]

SOURCE_KEYS = ("ref_doc_id", "doc_id", "document_id")
"""Keys under which LlamaIndex's stores let one filter by the source document."""

ARM_OF_MODE = {
    VectorStoreQueryMode.DEFAULT: DENSE.name,
    VectorStoreQueryMode.MMR: DENSE.name,
    VectorStoreQueryMode.SPARSE: SPARSE.name,
    VectorStoreQueryMode.TEXT_SEARCH: BM25.name,
}


def filter_of(
    filters: MetadataFilters | models.Filter | Mapping[str, Any] | None, index: HybridIndex
) -> models.Filter | Mapping[str, Any] | None:
    """Return LlamaIndex's filters as Qdrant's; Qdrant's own and the core's shorthand pass through.

    An empty list of filters is no filter. ``ref_doc_id``, ``doc_id`` and ``document_id`` are the
    user's own metadata where there is some of that name, else the source document's id.

    Raises:
        FilterError: names the operator that cannot take the value it was given, or the filters
            have more levels than the engines can read.
    """
    if not isinstance(filters, MetadataFilters):
        return filters

    def fields(key: str) -> Field:
        field = index.field(key)
        if key not in SOURCE_KEYS or field.fallback is not None:
            return field
        return replace(field, fallback=Field(key, (index.codec.own_path("source"),)))

    return _combined(filters, fields, 1)


def _combined(
    filters: MetadataFilters, fields: Callable[[str], Field], depth: int
) -> models.Filter | None:
    if depth > MAX_DEPTH:
        raise FilterError(
            f"the MetadataFilters have more than {MAX_DEPTH} levels, or contain themselves; "
            "join filters of one kind in one list"
        )
    parts = [
        _combined(part, fields, depth + 1)
        if isinstance(part, MetadataFilters)
        else _condition(part, fields)
        for part in filters.filters
    ]
    conditions: list[models.Condition] = [part for part in parts if part is not None]
    if not conditions:
        return None
    match filters.condition:
        case FilterCondition.OR:
            return qdrant.Filter(should=conditions)
        case FilterCondition.NOT:  # as in LlamaIndex: none of them holds
            return qdrant.Filter(must_not=conditions)
        case _:
            return qdrant.Filter(must=conditions)


def _condition(filter: MetadataFilter, fields: Callable[[str], Field]) -> models.Filter:
    """Return one comparison; of a list in the metadata, one element that fits is enough."""
    operator, value = filter.operator, filter.value
    if operator in _TEXT_OPERATORS:
        return _text_condition(filter, fields(filter.key))
    if operator not in _OPERATORS:
        raise FilterError(
            f"operator {operator.value!r} on {filter.key!r} is not supported; allowed: "
            f"{[operator.value for operator in (*_OPERATORS, *_TEXT_OPERATORS)]}"
        )
    takes_list, shorthand = _OPERATORS[operator]
    if operator is not FilterOperator.IS_EMPTY and isinstance(value, list) is not takes_list:
        raise FilterError(
            f"operator {operator.value!r} on {filter.key!r} takes "
            f"{'a list' if takes_list else 'one value'}, got {shown(value)}"
        )
    translated = as_filter(shorthand(filter.key, value), fields)
    if translated is None:
        raise FilterError(f"operator {operator.value!r} on {filter.key!r} got an empty list")
    return translated


_OPERATORS: Mapping[FilterOperator, tuple[bool, Callable[[str, Any], dict[str, Any]]]] = {
    FilterOperator.EQ: (False, lambda key, value: {key: {"eq": value}}),
    FilterOperator.NE: (False, lambda key, value: {key: {"ne": value}}),
    FilterOperator.GT: (False, lambda key, value: {key: {"gt": value}}),
    FilterOperator.GTE: (False, lambda key, value: {key: {"gte": value}}),
    FilterOperator.LT: (False, lambda key, value: {key: {"lt": value}}),
    FilterOperator.LTE: (False, lambda key, value: {key: {"lte": value}}),
    FilterOperator.CONTAINS: (False, lambda key, value: {key: {"eq": value}}),
    FilterOperator.IS_EMPTY: (False, lambda key, _: {"$or": [{key: None}, {key: ""}]}),
    FilterOperator.IN: (True, lambda key, values: {key: {"in": values}}),
    FilterOperator.NIN: (True, lambda key, values: {key: {"not_in": values}}),
    FilterOperator.ANY: (True, lambda key, values: {key: {"in": values}}),
    FilterOperator.ALL: (True, lambda key, values: {"$and": [{key: {"eq": v}} for v in values]}),
}
"""Whether an operator takes a list, and how the core's shorthand says it."""

_TEXT_OPERATORS = (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE)


def _text_condition(filter: MetadataFilter, field: Field) -> models.Filter:
    """Return a search within a text: the exact substring, or all the words in any case."""
    if not isinstance(filter.value, str) or not filter.value.strip():
        raise FilterError(
            f"operator {filter.operator.value!r} on {filter.key!r} takes a text, "
            f"got {shown(filter.value)}"
        )
    match: Any
    if filter.operator is FilterOperator.TEXT_MATCH:
        if not hasattr(qdrant, "MatchSubstring"):
            raise FilterError("operator 'text_match' needs qdrant-client 1.20 or newer")
        match = qdrant.MatchSubstring(substring=filter.value)
    else:
        match = qdrant.MatchText(text=filter.value)
    if not field.paths:
        raise FilterError(
            f"operator {filter.operator.value!r} cannot search the key {filter.key!r}; rename it"
        )
    anywhere: list[models.Condition] = [
        qdrant.FieldCondition(key=path, match=match) for path in field.paths
    ]
    return qdrant.Filter(should=anywhere)


@dataclass
class RewrittenQuery(QueryBundle):
    """A query bundle that remembers which arms each of its texts is for, and what it counts.

    Attributes:
        texts: what :class:`TrivecRetriever` searches for in place of ``custom_embedding_strs``,
            which hold the same texts for retrievers that know no arms.
    """

    texts: tuple[QueryText, ...] = ()


@dataclass(frozen=True)
class Search:
    """A vector store query as :meth:`trivec.HybridIndex.search` takes it."""

    text: QueryText
    k: int
    filter: models.Filter | None
    options: SearchOptions
    by_filter_alone: bool = False


def search_of(
    query: VectorStoreQuery,
    index: HybridIndex,
    options: SearchOptions,
    own_filter: models.Filter | None = None,
) -> Search:
    """Translate a vector store query.

    Args:
        query: LlamaIndex's query.
        index: what is searched.
        options: how HYBRID queries are fused; of the other modes, the candidates' number.
        own_filter: stands in for the query's filters, source documents and nodes.

    Raises:
        InputError: a mode or a field that is not supported, or a mode without what it searches by.
        FilterError: a filter that cannot be expressed.
    """
    query = _checked(query)
    if query.output_fields or query.embedding_field:
        raise InputError(
            f"output_fields={shown(query.output_fields)}, "
            f"embedding_field={shown(query.embedding_field)}: "
            "whole nodes are returned and the collection's own vectors searched; leave them out"
        )
    scope = _scope(query, index) if own_filter is None else own_filter
    if scope is not None and query.query_embedding is None and not (query.query_str or "").strip():
        return Search(QueryText(""), _count(query), scope, options, by_filter_alone=True)
    depth = max(options.prefetch_k, query.similarity_top_k, query.sparse_top_k or 0)
    return Search(
        text=_query_text(query),
        k=_count(query),
        filter=scope,
        options=replace(_arms(query, index, options), prefetch_k=depth),
    )


def _checked(query: VectorStoreQuery) -> VectorStoreQuery:
    """Refuse values that no field of a query takes; a mode may be given by its name."""
    try:
        mode = VectorStoreQueryMode(query.mode)
    except ValueError as err:
        allowed = [mode.value for mode in (*ARM_OF_MODE, VectorStoreQueryMode.HYBRID)]
        raise InputError(f"mode={shown(query.mode)}; allowed: {allowed}") from err
    if not isinstance(query.query_str, str | None):
        raise InputError(f"query_str={shown(query.query_str)}; give a text")
    for name in ("similarity_top_k", "sparse_top_k", "hybrid_top_k"):
        count = getattr(query, name)
        if not isinstance(count, Integral) and (count is not None or name == "similarity_top_k"):
            raise InputError(f"{name}={shown(count)}; give a whole number")
    return replace(query, mode=mode)


def _query_text(query: VectorStoreQuery) -> QueryText:
    mode = query.mode
    dense = query.query_embedding
    by_text = ARM_OF_MODE.get(mode) != DENSE.name
    if by_text and not (query.query_str or "").strip():
        raise InputError(f"mode {mode.value!r} searches by words; give query_str")
    if not by_text and dense is None and not (query.query_str or "").strip():
        raise InputError(f"mode {mode.value!r} needs query_embedding or query_str")
    uses_dense = mode is VectorStoreQueryMode.HYBRID or not by_text
    vectors = {}
    if uses_dense and dense is not None:
        vectors[DENSE.name] = _vector(dense)
    return QueryText(query.query_str or "", vectors=vectors)


def _vector(embedding: Sequence[float]) -> FloatArray:
    try:
        return np.asarray(embedding, dtype=np.float32)
    except (ValueError, TypeError) as err:
        raise InputError(
            f"query_embedding holds something else than numbers ({err}); give numbers"
        ) from err


def _arms(query: VectorStoreQuery, index: HybridIndex, options: SearchOptions) -> SearchOptions:
    """Return the options with the arms that the mode and alpha ask for."""
    mode = query.mode
    if mode is VectorStoreQueryMode.HYBRID:
        return options if query.alpha is None else _weighted(query.alpha, index, options)
    arm = ARM_OF_MODE.get(mode)
    if arm is None:
        allowed = [mode.value for mode in (*ARM_OF_MODE, VectorStoreQueryMode.HYBRID)]
        raise InputError(f"mode {mode.value!r} is not supported; allowed: {allowed}")
    alone = replace(
        options,
        arms=(arm,),
        colbert=None,
        mmr_lambda=None,
        thresholds={name: least for name, least in options.thresholds.items() if name == arm},
    )
    if mode is VectorStoreQueryMode.MMR:
        threshold = 0.5 if query.mmr_threshold is None else query.mmr_threshold
        return replace(alone, mmr_lambda=threshold)
    return alone


def _weighted(alpha: float, index: HybridIndex, options: SearchOptions) -> SearchOptions:
    """Return the options with ``alpha`` of the weight on dense, the rest on the lexical arms."""
    if not 0.0 <= alpha <= 1.0:
        raise InputError(
            f"alpha={alpha}; it must lie between 0 (lexical alone) and 1 (dense alone)"
        )
    base = index.arms(options)
    arms = {
        arm: weight * 2 * (1 - alpha if arm in LEXICAL else alpha) for arm, weight in base.items()
    }
    uneven = len(set(arms.values())) > 1
    fusion = "rrf" if uneven and not FUSIONS[options.fusion].weighted else options.fusion
    return replace(options, arms=arms, fusion=fusion)


def _count(query: VectorStoreQuery) -> int:
    if query.mode is VectorStoreQueryMode.HYBRID and query.hybrid_top_k is not None:
        return query.hybrid_top_k
    if query.mode is VectorStoreQueryMode.SPARSE and query.sparse_top_k is not None:
        return query.sparse_top_k
    return query.similarity_top_k


def _scope(query: VectorStoreQuery, index: HybridIndex) -> models.Filter | None:
    """AND the query's filters, source documents and nodes; an empty list restricts nothing."""
    parts: list[models.Condition] = []
    filters = filter_of(query.filters, index)
    if filters is not None:
        given = as_filter(filters, index.field)
        parts += [] if given is None else [given]
    if query.doc_ids:
        require_ids(query.doc_ids)
        source = qdrant.MatchAny(any=list(query.doc_ids))
        parts.append(qdrant.FieldCondition(key=index.codec.own_path("source"), match=source))
    if query.node_ids:
        require_ids(query.node_ids)
        parts.append(index.id_filter(query.node_ids))
    return qdrant.Filter(must=parts) if parts else None


def require_ids(ids: Sequence[str]) -> None:
    """Refuse one text, which would be read as a list of its letters, and what is no text.

    Raises:
        InputError: it is one.
    """
    if isinstance(ids, str | bytes):
        raise InputError(f"ids={shown(ids)} is one text; give a list: [{shown(ids)}]")
    if not isinstance(ids, Iterable) or not all(isinstance(identity, str) for identity in ids):
        raise InputError(f"ids={shown(ids)}; give a list of texts")


def is_blank_query(bundle: QueryBundle) -> bool:
    """Say whether a query bundle has nothing to search by."""
    texts = [bundle.query_str, *(bundle.custom_embedding_strs or ())]
    return bundle.embedding is None and not any(text.strip() for text in texts)


def query_texts(bundle: QueryBundle) -> list[QueryText]:
    """Return the texts of a query bundle, each to be searched for on every arm.

    Those of a ``RewrittenQuery`` keep their own arms and weights.

    Raises:
        InputError: there is neither a text nor an embedding.
    """
    if isinstance(bundle, RewrittenQuery) and bundle.texts:
        return list(bundle.texts)
    texts = dict.fromkeys(text for text in bundle.embedding_strs if text.strip())
    if not texts and bundle.query_str.strip():
        texts = {bundle.query_str: None}
    if texts:
        return [QueryText(text) for text in texts]
    if bundle.embedding is None:
        raise InputError("the query is blank; give query_str, custom_embedding_strs or embedding")
    dense = np.asarray(bundle.embedding, dtype=np.float32)
    return [QueryText("", arms=(DENSE.name,), vectors={DENSE.name: dense})]
