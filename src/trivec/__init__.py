"""Retrieval for LLM applications on BGE-M3: dense, learned sparse and ColBERT vectors, in Qdrant.

Importing trivec loads numpy and nothing else: what does the work is loaded when it is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trivec.errors import (
    AnswerInterruptedError,
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
    ModelUnavailableError,
    StoreError,
    StoreUnavailableError,
    TrivecError,
)
from trivec.protocols import (
    AsyncChatModel,
    AsyncStore,
    ChatModel,
    Encoder,
    LongEncoder,
    Reranker,
    Store,
)
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
    from trivec.encoders import (
        FlagEncoder,
        FlagOptions,
        MiniEncoder,
        OnnxEncoder,
        OnnxOptions,
        RemoteEncoder,
        RemoteOptions,
        load_encoder,
    )
    from trivec.exporting import ExportOptions, export_encoder, export_reranker
    from trivec.index import HybridIndex, IndexConfig
    from trivec.memo import MemoEncoder
    from trivec.rag.answers import Answer, AnswerPiece, Evidence, Passage, RagOptions
    from trivec.rag.calibration import Calibration, LabelledQuestion, calibrate
    from trivec.rag.chat import ChatOptions, OpenAIChat
    from trivec.rag.drafting import AnswerOptions
    from trivec.rag.keyword_prompts import RewriteExample
    from trivec.rag.pipeline import RagPipeline
    from trivec.rag.question_writing import QuestionPrompts
    from trivec.rag.questions import QuestionIndex, QuestionOptions, QuestionReport
    from trivec.rag.rewriting import FeedbackRewriter, KeywordRewriter, Rewrite, RewriteWeights
    from trivec.rag.support import Claim
    from trivec.rag.vocabulary import CorpusVocabulary
    from trivec.rerankers import (
        FlagReranker,
        FlagRerankerOptions,
        MiniReranker,
        MiniRerankerOptions,
        OnnxReranker,
        OnnxRerankerOptions,
    )
    from trivec.similarity import Similarity
    from trivec.stores import AsyncServerStore, EdgeStore, PayloadCodec, ServerStore

__all__ = [
    "AddReport",
    "AnalyzerConfig",
    "Answer",
    "AnswerInterruptedError",
    "AnswerOptions",
    "AnswerPiece",
    "AsyncChatModel",
    "AsyncHybridIndex",
    "AsyncServerStore",
    "AsyncStore",
    "Bm25Analyzer",
    "Calibration",
    "ChatModel",
    "ChatOptions",
    "ChatReply",
    "Chunk",
    "Claim",
    "CollectionError",
    "CollectionLockedError",
    "CollectionNotFoundError",
    "CorpusVocabulary",
    "EdgeStore",
    "Encoder",
    "EncoderInfo",
    "Encoding",
    "Evidence",
    "ExportOptions",
    "FeedbackRewriter",
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
    "KeywordRewriter",
    "LabelledQuestion",
    "LongEncoder",
    "MatchedTerm",
    "MemoEncoder",
    "MiniEncoder",
    "MiniReranker",
    "MiniRerankerOptions",
    "MissingDependencyError",
    "MissingHeadError",
    "ModelError",
    "ModelUnavailableError",
    "OnnxEncoder",
    "OnnxOptions",
    "OnnxReranker",
    "OnnxRerankerOptions",
    "OpenAIChat",
    "Passage",
    "PayloadCodec",
    "QueryText",
    "QuestionIndex",
    "QuestionOptions",
    "QuestionPrompts",
    "QuestionReport",
    "RagOptions",
    "RagPipeline",
    "Refusal",
    "RemoteEncoder",
    "RemoteOptions",
    "Reranker",
    "Rewrite",
    "RewriteExample",
    "RewriteWeights",
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
    "calibrate",
    "export_encoder",
    "export_reranker",
    "load_encoder",
    "load_reranker",
]

_MODULE_OF = {
    "AnalyzerConfig": "trivec.bm25",
    "Answer": "trivec.rag.answers",
    "AnswerOptions": "trivec.rag.drafting",
    "AnswerPiece": "trivec.rag.answers",
    "AsyncHybridIndex": "trivec.aio",
    "AsyncServerStore": "trivec.stores",
    "Bm25Analyzer": "trivec.bm25",
    "Calibration": "trivec.rag.calibration",
    "ChatOptions": "trivec.rag.chat",
    "Claim": "trivec.rag.support",
    "CorpusVocabulary": "trivec.rag.vocabulary",
    "EdgeStore": "trivec.stores",
    "Evidence": "trivec.rag.answers",
    "ExportOptions": "trivec.exporting",
    "FeedbackRewriter": "trivec.rag.rewriting",
    "FlagEncoder": "trivec.encoders",
    "FlagOptions": "trivec.encoders",
    "FlagReranker": "trivec.rerankers",
    "FlagRerankerOptions": "trivec.rerankers",
    "HybridIndex": "trivec.index",
    "IndexConfig": "trivec.index",
    "KeywordRewriter": "trivec.rag.rewriting",
    "LabelledQuestion": "trivec.rag.calibration",
    "MemoEncoder": "trivec.memo",
    "MiniEncoder": "trivec.encoders",
    "MiniReranker": "trivec.rerankers",
    "MiniRerankerOptions": "trivec.rerankers",
    "OnnxEncoder": "trivec.encoders",
    "OnnxOptions": "trivec.encoders",
    "OnnxReranker": "trivec.rerankers",
    "OnnxRerankerOptions": "trivec.rerankers",
    "OpenAIChat": "trivec.rag.chat",
    "Passage": "trivec.rag.answers",
    "PayloadCodec": "trivec.stores",
    "QuestionIndex": "trivec.rag.questions",
    "QuestionOptions": "trivec.rag.questions",
    "QuestionPrompts": "trivec.rag.question_writing",
    "QuestionReport": "trivec.rag.questions",
    "RagOptions": "trivec.rag.answers",
    "RagPipeline": "trivec.rag.pipeline",
    "RemoteEncoder": "trivec.encoders",
    "RemoteOptions": "trivec.encoders",
    "Rewrite": "trivec.rag.rewriting",
    "RewriteExample": "trivec.rag.keyword_prompts",
    "RewriteWeights": "trivec.rag.rewriting",
    "ServerStore": "trivec.stores",
    "Similarity": "trivec.similarity",
    "calibrate": "trivec.rag.calibration",
    "export_encoder": "trivec.exporting",
    "export_reranker": "trivec.exporting",
    "load_encoder": "trivec.encoders",
    "load_reranker": "trivec.rerankers",
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
