"""Retrieval for LLM applications on BGE-M3: dense, learned sparse and ColBERT vectors, in Qdrant.

Importing trivec loads numpy and nothing else: what does the work is loaded when it is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trivec.errors import (
    CollectionError,
    CollectionLockedError,
    CollectionNotFoundError,
    FilterError,
    FingerprintMismatchError,
    InputError,
    InvalidVectorError,
    MissingDependencyError,
    MissingHeadError,
    ModelError,
    StoreError,
    StoreUnavailableError,
    TrivecError,
)
from trivec.protocols import AsyncChatModel, AsyncStore, ChatModel, Encoder, Reranker, Store
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.types import (
    AddReport,
    ChatReply,
    Chunk,
    EncoderInfo,
    Encoding,
    Hit,
    MatchedTerm,
    QueryText,
    Refusal,
    SearchOptions,
    SparseVector,
)

if TYPE_CHECKING:
    from trivec.aio import AsyncHybridIndex
    from trivec.bm25 import AnalyzerConfig, Bm25Analyzer
    from trivec.encoders import FlagEncoder, FlagOptions, MiniEncoder, load_encoder
    from trivec.index import HybridIndex, IndexConfig
    from trivec.memo import MemoEncoder
    from trivec.rerankers import FlagReranker, FlagRerankerOptions
    from trivec.similarity import Similarity
    from trivec.stores import AsyncServerStore, EdgeStore, PayloadCodec, ServerStore

__all__ = [
    "AddReport",
    "AnalyzerConfig",
    "AsyncChatModel",
    "AsyncHybridIndex",
    "AsyncServerStore",
    "AsyncStore",
    "Bm25Analyzer",
    "ChatModel",
    "ChatReply",
    "Chunk",
    "CollectionError",
    "CollectionLockedError",
    "CollectionNotFoundError",
    "EdgeStore",
    "Encoder",
    "EncoderInfo",
    "Encoding",
    "FilterError",
    "Fingerprint",
    "FingerprintMismatchError",
    "FlagEncoder",
    "FlagOptions",
    "FlagReranker",
    "FlagRerankerOptions",
    "Hit",
    "HybridIndex",
    "IndexConfig",
    "InputError",
    "InvalidVectorError",
    "MatchedTerm",
    "MemoEncoder",
    "MiniEncoder",
    "MissingDependencyError",
    "MissingHeadError",
    "ModelError",
    "PayloadCodec",
    "QueryText",
    "Refusal",
    "Reranker",
    "Schema",
    "SearchOptions",
    "ServerStore",
    "Similarity",
    "SparseVector",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "TrivecError",
    "VectorSpec",
    "__version__",
    "load_encoder",
]

_MODULE_OF = {
    "AnalyzerConfig": "trivec.bm25",
    "AsyncHybridIndex": "trivec.aio",
    "AsyncServerStore": "trivec.stores",
    "Bm25Analyzer": "trivec.bm25",
    "EdgeStore": "trivec.stores",
    "FlagEncoder": "trivec.encoders",
    "FlagOptions": "trivec.encoders",
    "FlagReranker": "trivec.rerankers",
    "FlagRerankerOptions": "trivec.rerankers",
    "HybridIndex": "trivec.index",
    "IndexConfig": "trivec.index",
    "MemoEncoder": "trivec.memo",
    "MiniEncoder": "trivec.encoders",
    "PayloadCodec": "trivec.stores",
    "ServerStore": "trivec.stores",
    "Similarity": "trivec.similarity",
    "load_encoder": "trivec.encoders",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module and keep it (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("trivec")
    elif name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
    else:
        raise AttributeError(f"module 'trivec' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
