"""BGE-M3 as LangChain embeddings: dense and sparse from one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor

from langchain_trivec._convert import floats
from trivec.encoders.memo import MemoEncoder
from trivec.protocols import Encoder

if TYPE_CHECKING:
    from langchain_trivec._sparse import BGEM3SparseEmbeddings

__all__ = ["BGEM3Embeddings", "BGEM3SparseEmbeddings"]


class BGEM3Embeddings(Embeddings):
    """The dense vectors of an encoder, for anything in LangChain that takes embeddings.

    Everything that is made from the same encoder object shares a bounded memo: when a
    :class:`BGEM3SparseEmbeddings` is asked for texts that this object was asked for, or the other
    way round, the model is not run again. Queries and passages get their own instructions.

    Args:
        encoder: any trivec encoder, or a ``trivec.encoders.memo.MemoEncoder`` of your own size.

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

    def sparse(self) -> BGEM3SparseEmbeddings:
        """Return the sparse half of the pair."""
        from langchain_trivec._sparse import BGEM3SparseEmbeddings

        return BGEM3SparseEmbeddings(self._memo)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector of ``dense_dim`` Python floats for every passage."""
        encodings = self._memo.encode_documents(texts, heads=("dense",))
        return [floats(encoding) for encoding in encodings]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return floats(self._memo.encode_queries([text], heads=("dense",))[0])

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages in a worker thread."""
        return await run_in_executor(None, self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a query in a worker thread."""
        return await run_in_executor(None, self.embed_query, text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.encoder!r})"


def __getattr__(name: str) -> object:
    """Load the sparse class when it is named: its base is langchain-qdrant's, slow to import."""
    if name == "BGEM3SparseEmbeddings":
        from langchain_trivec._sparse import BGEM3SparseEmbeddings

        return BGEM3SparseEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
