"""Between LangChain's documents and the core's chunks; the options of one call."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from langchain_core.documents import Document

from trivec.errors import InputError
from trivec.types import Chunk, SearchOptions

__all__ = [
    "chunk_of",
    "document_of",
    "search_options",
]

_NAMESPACE = uuid.UUID("0d4f6c6e-59c8-5b0e-8f6a-6a6f1d3f7c52")
"""The uuid5 namespace of documents that come without an id. It never changes."""


def chunk_of(document: Document, identity: str | None = None) -> Chunk:
    """Return a document as a chunk; ``identity`` wins over the document's own id.

    A document without an id gets a uuid5 of its text and metadata, so that adding it twice
    changes nothing and two documents that differ in metadata alone are both kept.
    """
    metadata = document.metadata
    source = metadata.get("source")
    return Chunk(
        document.page_content,
        id=identity or document.id or _derived_id(document),
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


def _derived_id(document: Document) -> str:
    try:
        metadata = json.dumps(document.metadata, sort_keys=True, default=str)
    except (TypeError, ValueError):  # odd keys, a circle: the index refuses it under this id
        metadata = repr(document.metadata)
    except RecursionError:  # nested too deep: the index refuses it
        metadata = ""
    content = json.dumps([document.page_content, metadata])
    return str(uuid.uuid5(_NAMESPACE, content))
