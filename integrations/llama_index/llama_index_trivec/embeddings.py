"""BGE-M3 as LlamaIndex's dense and sparse embedding models, over one forward pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import llama_index.core.instrumentation as instrument
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import PrivateAttr, field_serializer
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
    SparseEmbeddingEndEvent,
    SparseEmbeddingStartEvent,
)
from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

from llama_index_trivec._sparse import BATCH_SIZE, BGEM3SparseEmbedding, weights_of
from trivec.adapters import fingerprint_name
from trivec.encoders import MemoEncoder
from trivec.errors import ModelError
from trivec.protocols import Encoder
from trivec.text import clean
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

__all__ = ["BGEM3Embedding", "BGEM3SparseEmbedding", "ObservedEncoder"]

dispatcher = instrument.get_dispatcher(__name__)  # type: ignore[attr-defined]  # no __all__


class BGEM3Embedding(BaseEmbedding):
    """The dense vectors of a trivec encoder as a LlamaIndex embedding model.

    Queries and passages are encoded as such (instructions, maximal lengths). The asynchronous
    methods encode in a worker thread, so that the event loop goes on. ``model_name``, which the
    cache of an ``IngestionPipeline`` goes by, is the model's name and a digest of its fingerprint.

    Args:
        encoder: computes the vectors. Everything that was given the same encoder object
            (:class:`BGEM3SparseEmbedding`, a :class:`TrivecVectorStore` on its index) shares a
            bounded memo, so that one forward serves all of them.
        embed_batch_size: texts handed over at a time.
        num_workers: batches that the asynchronous methods hand over at once.
        embeddings_cache: LlamaIndex's own cache; each model has two collections of its own in it,
            one of queries and one of passages.
        callback_manager: LlamaIndex's callbacks.

    Example:
        >>> from trivec.testing import FakeEncoder
        >>> dense = BGEM3Embedding(FakeEncoder())
        >>> sparse = dense.sparse()
        >>> len(dense.get_text_embedding("one forward for both"))
        64
    """

    _encoder: MemoEncoder = PrivateAttr()

    def __init__(
        self,
        encoder: Encoder,
        *,
        embed_batch_size: int = BATCH_SIZE,
        num_workers: int | None = None,
        embeddings_cache: Any = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(
            model_name="bge-m3",
            embed_batch_size=embed_batch_size,
            num_workers=num_workers,
            embeddings_cache=embeddings_cache,
            callback_manager=callback_manager or CallbackManager([]),
        )
        self._encoder = MemoEncoder.shared(encoder)
        if embeddings_cache is not None:
            self.embeddings_cache = ModelCache(embeddings_cache, self._named)

    def sparse(self) -> BGEM3SparseEmbedding:
        """Return the sparse half of the pair, which shares this one's forward passes."""
        return BGEM3SparseEmbedding(self._encoder)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that events and serialised components carry."""
        return "BGEM3Embedding"

    def to_payload(self) -> dict[str, Any]:
        """Return what events say of this model: the encoder's own name among it."""
        return {**super().to_payload(), "model_name": self._encoder.info.model}

    @field_serializer("model_name")
    def _serialized_name(self, name: str) -> str:
        del name
        return self._named()

    def _named(self) -> str:
        """Return the model's name and a digest of all that its vectors depend on."""
        return fingerprint_name(self._encoder.info)

    def get_query_embedding(self, query: str) -> Embedding:
        """Embed a query; a cache keeps it apart from a passage of the same text."""
        with _query_cached():
            return super().get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> Embedding:
        """Embed a query; see :meth:`get_query_embedding`."""
        with _query_cached():
            return await super().aget_query_embedding(query)

    def _get_query_embedding(self, query: str) -> Embedding:
        return _dense(self._encoder.encode_queries([query], heads=("dense",)))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        cleaned = [clean(text) for text in texts]  # as the index does, so that both find one memo
        return _dense(self._encoder.encode_documents(cleaned, heads=("dense",)))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


# LlamaIndex's caches are keyed by this field. Here it is read when it is needed, since only the
# model's files tell it; pydantic forbids such a property within the class.
BGEM3Embedding.model_name = property(BGEM3Embedding._named)  # type: ignore[assignment]  # noqa: SLF001


_caches_query: ContextVar[bool] = ContextVar("_caches_query", default=False)


@contextmanager
def _query_cached() -> Iterator[None]:
    """Let ``ModelCache`` know that what is asked for is a query's."""
    token = _caches_query.set(True)
    try:
        yield
    finally:
        _caches_query.reset(token)


class ModelCache(BaseKVStore):
    """A key-value store whose collections belong to one model; LlamaIndex's keys are texts alone.

    Queries have collections of their own, since a query and a passage of one text differ.

    Args:
        store: holds the values.
        name: returns the model's name, when the store is first used.
    """

    def __init__(self, store: BaseKVStore, name: Callable[[], str]) -> None:
        self._store = store
        self._name = name

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Keep a value."""
        self._store.put(key, val, collection=self._own(collection))

    async def aput(
        self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION
    ) -> None:
        """Keep a value."""
        await self._store.aput(key, val, collection=self._own(collection))

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return a value, None where there is none."""
        return self._store.get(key, collection=self._own(collection))

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return a value, None where there is none."""
        return await self._store.aget(key, collection=self._own(collection))

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values of this model."""
        return self._store.get_all(collection=self._own(collection))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values of this model."""
        return await self._store.aget_all(collection=self._own(collection))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Forget a value."""
        return self._store.delete(key, collection=self._own(collection))

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Forget a value."""
        return await self._store.adelete(key, collection=self._own(collection))

    def _own(self, collection: str) -> str:
        kind = "queries/" if _caches_query.get() else ""
        return f"{collection}/{kind}{self._name()}"


class ObservedEncoder:
    """An :class:`trivec.protocols.Encoder` that tells LlamaIndex which queries it encodes.

    One forward yields both kinds of vector, and is told of as an embedding and a sparse embedding.

    Args:
        encoder: what computes.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors."""
        return self._encoder.info

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages."""
        return self._encoder.encode_documents(texts, heads=heads)

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries between a start and an end event for the dense and the sparse head."""
        model = {"class_name": "ObservedEncoder", "model_name": self.info.model}
        if "dense" in heads:
            dispatcher.event(EmbeddingStartEvent(model_dict=model))
        if "sparse" in heads:
            dispatcher.event(SparseEmbeddingStartEvent(model_dict=model))
        encodings = self._encoder.encode_queries(texts, heads=heads)
        if "dense" in heads:
            dispatcher.event(EmbeddingEndEvent(chunks=list(texts), embeddings=_dense(encodings)))
        if "sparse" in heads:
            weights = weights_of(encodings)
            dispatcher.event(SparseEmbeddingEndEvent(chunks=list(texts), embeddings=weights))
        return encodings

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices."""
        return self._encoder.decode_tokens(ids)


def _dense(encodings: Sequence[Encoding]) -> list[Embedding]:
    vectors = [encoding.dense for encoding in encodings]
    if any(vector is None for vector in vectors):
        raise ModelError("the encoder gave no dense vectors; use one with a dense head")
    return [vector.tolist() for vector in vectors if vector is not None]
