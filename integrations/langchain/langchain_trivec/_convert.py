"""Between LangChain's documents and the core's chunks; the options of one call."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from trivec.adapters import plain_values, shown
from trivec.errors import InputError
from trivec.index import HybridIndex
from trivec.payloads import Field
from trivec.query import Filter, qdrant
from trivec.stores import as_filter
from trivec.types import Chunk, SearchOptions

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = [
    "Found",
    "Relevance",
    "chunk_of",
    "document_of",
    "filter_of",
    "listed_texts",
    "search_options",
]

_NAMESPACE = uuid.UUID("0d4f6c6e-59c8-5b0e-8f6a-6a6f1d3f7c52")
"""The uuid5 namespace of documents that come without an id. It never changes."""


def chunk_of(document: Document, identity: str | None = None) -> Chunk:
    """Return a document as a chunk; ``identity`` wins over the document's own id.

    A document without an id gets a uuid5 of its text and metadata, so that adding it twice
    changes nothing and two documents that differ in metadata alone are both kept.
    """
    if not isinstance(document, Document):
        raise InputError(f"a {type(document).__name__} is not a Document; give a list of Documents")
    metadata = plain_values(document.metadata)
    source = metadata.get("source")
    return Chunk(
        document.page_content,
        id=identity or document.id or _derived_id(document.page_content, metadata),
        source=source if isinstance(source, str) else None,
        metadata=metadata,
    )


def document_of(chunk: Chunk) -> Document:
    """Return a chunk as a document, its id set and its metadata as it was given.

    A source that the core knows and the metadata lacks (of an index that the command line made)
    is added under LangChain's key, ``source``.
    """
    metadata = dict(chunk.metadata)
    if chunk.source is not None:
        metadata.setdefault("source", chunk.source)
    return Document(page_content=chunk.text, metadata=metadata, id=chunk.id)


def search_options(options: SearchOptions, overrides: Mapping[str, Any]) -> SearchOptions:
    """Return the options with those fields changed that one call names.

    Raises:
        InputError: a name that is not a field of ``SearchOptions``.
    """
    allowed = [field.name for field in fields(SearchOptions)]
    if unknown := sorted(set(overrides) - set(allowed)):
        hint = ""
        if "score_threshold" in unknown:
            hint = "; a fused score has no threshold, use thresholds={'dense': 0.5} for one arm's"
        raise InputError(f"unknown arguments {unknown}; allowed: k, filter, {allowed}{hint}")
    return replace(options, **overrides)


def filter_of(
    filter: Filter | Mapping[str, Any] | None, ids: Sequence[str] | None, index: HybridIndex
) -> Filter | None:
    """Return one filter for what a call gives; the documents with ``ids`` alone, where it does.

    ``id`` is the document's own id where the metadata has none of that name, and ``metadata.n``
    is the key ``n``, as langchain-qdrant's users write it.

    Raises:
        FilterError: a filter that cannot be understood.
        InputError: ids that are no list of texts.
    """

    def fields(key: str) -> Field:
        field = index.field(key)
        if field.fallback is not None:
            return field
        if key == "id":
            return replace(field, fallback=Field(key, (index.codec.own_path("id"),)))
        if key.startswith("metadata.") and key != "metadata.":
            return replace(field, fallback=index.field(key.removeprefix("metadata.")))
        return field

    scope = as_filter(filter, fields)
    if ids is None:
        return scope
    points: list[Any] = [index.point_id(identity) for identity in listed_texts("ids", ids)]
    parts: list[models.Condition] = [qdrant.HasIdCondition(has_id=points)]
    return qdrant.Filter(must=parts if scope is None else [*parts, scope])


def listed_texts(name: str, values: object) -> list[Any]:
    """Return a list of texts; one text would be read as a list of its letters.

    Raises:
        InputError: it is one text, or no list.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(
            f"{name}={shown(values)} is not a list; give one: {name}=[{shown(values)}]"
        )
    return list(values)


class Found(dict[str, Any]):
    """How a query found a document; equal to what another query says of the same document.

    So documents that two queries found are equal, and ``MultiQueryRetriever`` joins them.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Found) or super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as of a dict


class Relevance(float):
    """A reranker's score for one query; equal to that for another, as ``Found`` is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Relevance) or super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(Relevance)


def _derived_id(text: str, values: Mapping[str, Any]) -> str:
    try:
        metadata = json.dumps(values, sort_keys=True, default=str)
    except (TypeError, ValueError):  # odd keys, a circle: the index refuses it under this id
        metadata = repr(values)
    except RecursionError:  # nested too deep: the index refuses it
        metadata = ""
    content = json.dumps([text, metadata])
    return str(uuid.uuid5(_NAMESPACE, content))
