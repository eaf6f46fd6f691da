"""Between LangChain's values and the core's: documents, embeddings, options."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder
from trivec.types import ALL_HEADS, Chunk, EncoderInfo, Encoding, Head, SearchOptions

__all__ = [
    "EmbeddingsEncoder",
    "as_embeddings",
    "as_encoder",
    "chunk_of",
    "document_of",
    "floats",
    "search_options",
]

_NAMESPACE = uuid.UUID("0d4f6c6e-59c8-5b0e-8f6a-6a6f1d3f7c52")
"""The uuid5 namespace of documents that come without an id. It never changes."""

_MODEL_ATTRIBUTES = ("model", "model_name", "model_id", "deployment")


class EmbeddingsEncoder:
    """Any LangChain embeddings as an encoder with only the dense head.

    Vectors are given unit length. What identifies them is the class and the model's name, since
    the weights cannot be seen: give ``model`` where the embeddings object does not say it. The
    width of the vectors is found by embedding one word, when it is first needed.

    Args:
        embeddings: what embeds.
        model: the name that a collection remembers; None takes it from the object.
        dense_dim: the width of the vectors; None finds out.
    """

    def __init__(
        self, embeddings: Embeddings, *, model: str | None = None, dense_dim: int | None = None
    ) -> None:
        self._embeddings = embeddings
        self._model = model or _model_name(embeddings)
        self._dense_dim = dense_dim
        self._lock = threading.Lock()

    @property
    def embeddings(self) -> Embeddings:
        """The LangChain object."""
        return self._embeddings

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors."""
        return EncoderInfo(
            model=self._model,
            weights=hashlib.sha256(self._model.encode()).hexdigest(),
            dense_dim=self._width(),
            heads=("dense",),
            pooling="unknown",
            precision="unknown",
        )

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ("dense",)
    ) -> list[Encoding]:
        """Embed passages in one call."""
        _require_dense(heads)
        return _encodings(self._embeddings.embed_documents(list(texts)), texts) if texts else []

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ("dense",)
    ) -> list[Encoding]:
        """Embed queries one by one, which is all that LangChain's interface has."""
        _require_dense(heads)
        return _encodings([self._embeddings.embed_query(text) for text in texts], texts)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices, of which there are none.

        Raises:
            InputError: ids were given.
        """
        if ids:
            raise InputError("these embeddings are only dense; they have no tokens to decode")
        return []

    def _width(self) -> int:
        with self._lock:
            if self._dense_dim is None:
                self._dense_dim = len(self._embeddings.embed_query("width"))
            return self._dense_dim

    def __repr__(self) -> str:
        return f"EmbeddingsEncoder({self._model!r})"


def as_encoder(embedding: Embeddings | Encoder) -> Encoder:
    """Return an encoder for what LangChain users pass as ``embedding``.

    Raises:
        InputError: it is neither embeddings nor an encoder.
    """
    from langchain_trivec.embeddings import BGEM3Embeddings

    if isinstance(embedding, BGEM3Embeddings):
        return embedding.encoder
    if isinstance(embedding, Embeddings):
        return EmbeddingsEncoder(embedding)
    if isinstance(embedding, Encoder):
        return embedding
    raise InputError(
        f"embedding is a {type(embedding).__name__}; give LangChain Embeddings or a trivec encoder"
    )


def as_embeddings(encoder: Encoder) -> Embeddings:
    """Return an encoder's dense head as LangChain embeddings."""
    from langchain_trivec.embeddings import BGEM3Embeddings

    return (
        encoder.embeddings if isinstance(encoder, EmbeddingsEncoder) else BGEM3Embeddings(encoder)
    )


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


def floats(encoding: Encoding) -> list[float]:
    """Return the dense vector as Python floats.

    Raises:
        ModelError: there is none.
    """
    if encoding.dense is None:
        raise ModelError("the encoder gave no dense vectors; use one with a dense head")
    values: list[float] = encoding.dense.tolist()
    return values


def _derived_id(document: Document) -> str:
    try:
        metadata = json.dumps(document.metadata, sort_keys=True, default=str)
    except (TypeError, ValueError):  # odd keys, a circle: the index refuses it under this id
        metadata = repr(document.metadata)
    content = json.dumps([document.page_content, metadata])
    return str(uuid.uuid5(_NAMESPACE, content))


def _model_name(embeddings: Embeddings) -> str:
    kind = type(embeddings)
    named = (getattr(embeddings, attribute, None) for attribute in _MODEL_ATTRIBUTES)
    model = next((name for name in named if isinstance(name, str) and name), None)
    return f"{kind.__module__}.{kind.__qualname__}" + (f"/{model}" if model else "")


def _require_dense(heads: Iterable[Head]) -> None:
    if other := [head for head in ALL_HEADS if head in heads and head != "dense"]:
        raise InputError(f"heads {other}: LangChain embeddings have only the dense head")


def _encodings(vectors: Sequence[Sequence[float]], texts: Sequence[str]) -> list[Encoding]:
    if len(vectors) != len(texts):
        raise ModelError(f"the embeddings gave {len(vectors)} vectors for {len(texts)} texts")
    encodings = []
    for vector in vectors:
        dense = np.asarray(vector, dtype=np.float32)
        norm = np.linalg.norm(dense)
        encodings.append(Encoding(dense=dense / norm if norm > 0 else dense))
    return encodings
