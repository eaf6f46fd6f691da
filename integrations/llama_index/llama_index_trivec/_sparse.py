"""BGE-M3's learned sparse weights as a LlamaIndex sparse embedding model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding, SparseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr, field_serializer

from trivec.adapters import fingerprint_name
from trivec.encoders import MemoEncoder
from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder
from trivec.text import clean
from trivec.types import Encoding, SparseVector

__all__ = ["BATCH_SIZE", "BGEM3SparseEmbedding", "weights_of"]

BATCH_SIZE = 128
"""Texts handed over at a time; the encoder makes its own batches of these, by tokens."""


class BGEM3SparseEmbedding(BaseSparseEmbedding):
    """BGE-M3's learned token weights as a LlamaIndex sparse embedding model.

    :meth:`encode_documents` and :meth:`encode_queries` have the form that LlamaIndex's own
    ``QdrantVectorStore`` takes as ``sparse_doc_fn`` and ``sparse_query_fn``.

    Args:
        encoder: computes the weights; see :class:`BGEM3Embedding`.
        embed_batch_size: texts handed over at a time.
        num_workers: batches that the asynchronous methods hand over at once.
    """

    _encoder: MemoEncoder = PrivateAttr()

    def __init__(
        self,
        encoder: Encoder,
        *,
        embed_batch_size: int = BATCH_SIZE,
        num_workers: int | None = None,
    ) -> None:
        super().__init__(
            model_name="bge-m3", embed_batch_size=embed_batch_size, num_workers=num_workers
        )
        self._encoder = MemoEncoder.shared(encoder)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that events and serialised components carry."""
        return "BGEM3SparseEmbedding"

    @field_serializer("model_name")
    def _serialized_name(self, name: str) -> str:
        del name
        return self._named()

    def _named(self) -> str:
        return fingerprint_name(self._encoder.info)

    def to_payload(self) -> dict[str, Any]:
        """Return what events say of this model: the encoder's own name among it."""
        return {**super().to_payload(), "model_name": self._encoder.info.model}

    def encode_documents(self, texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        """Return the token ids and the weights of passages; a ``sparse_doc_fn``."""
        return _columns(self._documents(texts))

    def encode_queries(self, texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        """Return the token ids and the weights of queries; a ``sparse_query_fn``."""
        return _columns(self._encoder.encode_queries(texts, heads=("sparse",)))

    def similarity(self, embedding1: SparseEmbedding, embedding2: SparseEmbedding) -> float:
        """Return the dot product, as BGE-M3 was trained (LlamaIndex's default is the cosine)."""
        shared = embedding1.keys() & embedding2.keys()
        return float(sum(embedding1[index] * embedding2[index] for index in shared))

    def _get_query_embedding(self, query: str) -> SparseEmbedding:
        return weights_of(self._encoder.encode_queries([query], heads=("sparse",)))[0]

    async def _aget_query_embedding(self, query: str) -> SparseEmbedding:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> SparseEmbedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> SparseEmbedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[SparseEmbedding]:
        return weights_of(self._documents(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[SparseEmbedding]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    def _documents(self, texts: Sequence[str]) -> list[Encoding]:
        if isinstance(texts, str):
            raise InputError("texts is a single string; give a list of texts")
        return self._encoder.encode_documents([clean(text) for text in texts], heads=("sparse",))


# as of the dense half, see there
BGEM3SparseEmbedding.model_name = property(BGEM3SparseEmbedding._named)  # type: ignore[assignment]  # noqa: SLF001


def weights_of(encodings: Sequence[Encoding]) -> list[SparseEmbedding]:
    """Return sparse vectors as LlamaIndex has them: weights by token id."""
    return [vector.to_mapping() for vector in _sparse(encodings)]


def _sparse(encodings: Sequence[Encoding]) -> list[SparseVector]:
    vectors = [encoding.sparse for encoding in encodings]
    if any(vector is None for vector in vectors):
        raise ModelError("the encoder gave no sparse vectors; use one with a sparse head")
    return [vector for vector in vectors if vector is not None]


def _columns(encodings: Sequence[Encoding]) -> tuple[list[list[int]], list[list[float]]]:
    vectors = _sparse(encodings)
    return [vector.indices.tolist() for vector in vectors], [
        vector.values.tolist() for vector in vectors
    ]
