"""The sparse embeddings class; apart from the dense one, since its base is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.runnables import run_in_executor

from trivec.encoders import MemoEncoder
from trivec.errors import ModelError
from trivec.protocols import Encoder
from trivec.types import Encoding

if TYPE_CHECKING:
    from langchain_qdrant import SparseEmbeddings, SparseVector
else:
    try:
        from langchain_qdrant import SparseEmbeddings, SparseVector
    except ImportError:  # langchain-qdrant is optional: the same shape without its base
        from pydantic import BaseModel

        SparseEmbeddings = object

        class SparseVector(BaseModel, extra="forbid"):
            """Token ids, unique and ascending, and their weights."""

            indices: list[int]
            values: list[float]


__all__ = ["BGEM3SparseEmbeddings"]


class BGEM3SparseEmbeddings(SparseEmbeddings):
    """The learned sparse vectors of an encoder, as langchain-qdrant's hybrid store takes them.

    A ``langchain_qdrant.SparseEmbeddings`` where that package is installed, of the same shape
    where it is not. Shares its forward passes with :class:`BGEM3Embeddings`; see there.

    Args:
        encoder: the same encoder object as that of the dense embeddings.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._memo = MemoEncoder.shared(encoder)

    @property
    def encoder(self) -> Encoder:
        """The encoder behind the memo."""
        return self._memo.encoder

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        """Return token ids, unique and ascending, and their weights for every passage."""
        return [
            _vector(encoding) for encoding in self._memo.encode_documents(texts, heads=("sparse",))
        ]

    def embed_query(self, text: str) -> SparseVector:
        """Return token ids and weights of a query."""
        return _vector(self._memo.encode_queries([text], heads=("sparse",))[0])

    async def aembed_documents(self, texts: list[str]) -> list[SparseVector]:
        """Embed passages in a worker thread."""
        return await run_in_executor(None, self.embed_documents, texts)

    async def aembed_query(self, text: str) -> SparseVector:
        """Embed a query in a worker thread."""
        return await run_in_executor(None, self.embed_query, text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.encoder!r})"


def _vector(encoding: Encoding) -> SparseVector:
    if encoding.sparse is None:
        raise ModelError("the encoder gave no sparse vectors; use one of BGE-M3's shape")
    weights = encoding.sparse
    return SparseVector(indices=weights.indices.tolist(), values=weights.values.tolist())
