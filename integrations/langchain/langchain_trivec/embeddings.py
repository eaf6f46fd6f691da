"""BGE-M3 as LangChain embeddings: dense and sparse from one forward pass."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor

from trivec.adapters import fingerprint_name
from trivec.encoders import MemoEncoder
from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

if TYPE_CHECKING:
    from langchain_trivec._sparse import BGEM3SparseEmbeddings

__all__ = [
    "BGEM3Embeddings",
    "BGEM3SparseEmbeddings",
    "EmbeddingsEncoder",
    "as_embeddings",
    "as_encoder",
]

logger = logging.getLogger(__name__)

_MODEL_ATTRIBUTES = ("model", "model_name", "model_id", "deployment")


class BGEM3Embeddings(Embeddings):
    """The dense vectors of an encoder, for anything in LangChain that takes embeddings.

    Everything that is made from the same encoder object shares a bounded memo: when a
    :class:`BGEM3SparseEmbeddings` is asked for texts that this object was asked for, or the other
    way round, the model is not run again. Queries and passages get their own instructions.

    Args:
        encoder: any trivec encoder, or a ``trivec.encoders.MemoEncoder`` of your own size.

    Example:
        >>> from trivec import load_encoder
        >>> dense = BGEM3Embeddings(load_encoder("BAAI/bge-m3"))  # doctest: +SKIP
        >>> store = QdrantVectorStore(  # doctest: +SKIP
        ...     client, "kb", dense, RetrievalMode.HYBRID, sparse_embedding=dense.sparse()
        ... )
    """

    def __init__(self, encoder: Encoder) -> None:
        self._memo = MemoEncoder.shared(encoder)

    @property
    def encoder(self) -> Encoder:
        """The encoder behind the memo."""
        return self._memo.encoder

    @property
    def model(self) -> str:
        """The model's name and a digest of all that its vectors depend on, safe in a file's name.

        Take it for the ``namespace`` of ``CacheBackedEmbeddings``, and one for
        ``query_embedding_cache`` apart. Reads the model's files once to digest them.
        """
        return fingerprint_name(self.encoder.info)

    def sparse(self) -> BGEM3SparseEmbeddings:
        """Return the sparse half of the pair."""
        from langchain_trivec._sparse import BGEM3SparseEmbeddings

        return BGEM3SparseEmbeddings(self._memo)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector of ``dense_dim`` Python floats for every passage."""
        encodings = self._memo.encode_documents(texts, heads=("dense",))
        return [_floats(encoding) for encoding in encodings]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return _floats(self._memo.encode_queries([text], heads=("dense",))[0])

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages in a worker thread."""
        return await run_in_executor(None, self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a query in a worker thread."""
        return await run_in_executor(None, self.embed_query, text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.encoder!r})"


class EmbeddingsEncoder:
    """Any LangChain embeddings as an encoder with the dense head alone.

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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
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
            raise InputError("these embeddings are dense alone, they have no tokens to decode")
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
    if isinstance(embedding, BGEM3Embeddings):
        return embedding.encoder
    inner = getattr(embedding, "underlying_embeddings", None)
    if isinstance(inner, BGEM3Embeddings):
        logger.info("the cache around these embeddings is not used: one pass gives all vectors")
        return inner.encoder
    if isinstance(embedding, Embeddings):
        encoder = EmbeddingsEncoder(embedding)
        if _named(embedding) is None:
            logger.warning(
                "%s gives dense vectors alone and does not name its model: the store knows it by "
                "its class, and cannot tell another model from it; give "
                "EmbeddingsEncoder(embeddings, model=...)",
                type(embedding).__qualname__,
            )
        return encoder
    if isinstance(embedding, Encoder):
        return embedding
    raise InputError(
        f"embedding is a {type(embedding).__name__}; give LangChain Embeddings or a trivec encoder"
    )


def as_embeddings(encoder: Encoder) -> Embeddings:
    """Return an encoder's dense head as LangChain embeddings."""
    if isinstance(encoder, EmbeddingsEncoder):
        return encoder.embeddings
    return BGEM3Embeddings(encoder)


def __getattr__(name: str) -> object:
    """Load the sparse class when it is named: its base is langchain-qdrant's, slow to import."""
    if name == "BGEM3SparseEmbeddings":
        from langchain_trivec._sparse import BGEM3SparseEmbeddings

        return BGEM3SparseEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _floats(encoding: Encoding) -> list[float]:
    """Return the dense vector as Python floats."""
    if encoding.dense is None:
        raise ModelError("the encoder gave no dense vectors; use one with a dense head")
    values: list[float] = encoding.dense.tolist()
    return values


def _model_name(embeddings: Embeddings) -> str:
    kind, model = type(embeddings), _named(embeddings)
    return f"{kind.__module__}.{kind.__qualname__}" + (f"/{model}" if model else "")


def _named(embeddings: Embeddings) -> str | None:
    """Return the name of the model, of the one that a cache is around too."""
    named = (getattr(embeddings, attribute, None) for attribute in _MODEL_ATTRIBUTES)
    model = next((name for name in named if isinstance(name, str) and name), None)
    inner = getattr(embeddings, "underlying_embeddings", None)
    return _named(inner) if model is None and isinstance(inner, Embeddings) else model


def _require_dense(heads: Iterable[Head]) -> None:
    if other := [head for head in ALL_HEADS if head in heads and head != "dense"]:
        raise InputError(f"heads {other}: LangChain embeddings have the dense head alone")


def _encodings(vectors: Sequence[Sequence[float]], texts: Sequence[str]) -> list[Encoding]:
    if len(vectors) != len(texts):
        raise ModelError(f"the embeddings gave {len(vectors)} vectors for {len(texts)} texts")
    encodings = []
    for vector in vectors:
        dense = np.asarray(vector, dtype=np.float32)
        norm = np.linalg.norm(dense)
        encodings.append(Encoding(dense=dense / norm if norm > 0 else dense))
    return encodings
