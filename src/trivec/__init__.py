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
    from trivec.answers.calibration import Calibration, LabelledQuestion, calibrate
    from trivec.answers.options import AnswerOptions
    from trivec.answers.pipeline import RagPipeline
    from trivec.answers.support import Claim
    from trivec.answers.types import Answer, AnswerPiece, Evidence, Passage, RagOptions
    from trivec.bm25 import AnalyzerConfig, Bm25Analyzer
    from trivec.chat.openai import ChatOptions, OpenAIChat
    from trivec.encoders import (
        FlagEncoder,
        FlagOptions,
        OnnxEncoder,
        OnnxOptions,
        RemoteEncoder,
        RemoteOptions,
    )
    from trivec.encoders.memo import MemoEncoder
    from trivec.encoders.similarity import Similarity
    from trivec.exporting import ExportOptions, export_encoder, export_reranker
    from trivec.index import HybridIndex, IndexConfig
    from trivec.index.aio import AsyncHybridIndex
    from trivec.loading import load_encoder
    from trivec.mini import MiniEncoder, MiniReranker, MiniRerankerOptions
    from trivec.questions.index import QuestionIndex, QuestionOptions, QuestionReport
    from trivec.questions.writing import QuestionPrompts
    from trivec.rerankers import (
        FlagReranker,
        FlagRerankerOptions,
        OnnxReranker,
        OnnxRerankerOptions,
    )
    from trivec.rewriting.prompts import RewriteExample
    from trivec.rewriting.rewriters import (
        FeedbackRewriter,
        KeywordRewriter,
        Rewrite,
        RewriteWeights,
    )
    from trivec.rewriting.vocabulary import CorpusVocabulary
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
    "Answer": "trivec.answers.types",
    "AnswerOptions": "trivec.answers.options",
    "AnswerPiece": "trivec.answers.types",
    "AsyncHybridIndex": "trivec.index.aio",
    "AsyncServerStore": "trivec.stores",
    "Bm25Analyzer": "trivec.bm25",
    "Calibration": "trivec.answers.calibration",
    "ChatOptions": "trivec.chat.openai",
    "Claim": "trivec.answers.support",
    "CorpusVocabulary": "trivec.rewriting.vocabulary",
    "EdgeStore": "trivec.stores",
    "Evidence": "trivec.answers.types",
    "ExportOptions": "trivec.exporting",
    "FeedbackRewriter": "trivec.rewriting.rewriters",
    "FlagEncoder": "trivec.encoders",
    "FlagOptions": "trivec.encoders",
    "FlagReranker": "trivec.rerankers",
    "FlagRerankerOptions": "trivec.rerankers",
    "HybridIndex": "trivec.index",
    "IndexConfig": "trivec.index",
    "KeywordRewriter": "trivec.rewriting.rewriters",
    "LabelledQuestion": "trivec.answers.calibration",
    "MemoEncoder": "trivec.encoders.memo",
    "MiniEncoder": "trivec.mini",
    "MiniReranker": "trivec.mini",
    "MiniRerankerOptions": "trivec.mini",
    "OnnxEncoder": "trivec.encoders",
    "OnnxOptions": "trivec.encoders",
    "OnnxReranker": "trivec.rerankers",
    "OnnxRerankerOptions": "trivec.rerankers",
    "OpenAIChat": "trivec.chat.openai",
    "Passage": "trivec.answers.types",
    "PayloadCodec": "trivec.stores",
    "QuestionIndex": "trivec.questions.index",
    "QuestionOptions": "trivec.questions.index",
    "QuestionPrompts": "trivec.questions.writing",
    "QuestionReport": "trivec.questions.index",
    "RagOptions": "trivec.answers.types",
    "RagPipeline": "trivec.answers.pipeline",
    "RemoteEncoder": "trivec.encoders",
    "RemoteOptions": "trivec.encoders",
    "Rewrite": "trivec.rewriting.rewriters",
    "RewriteExample": "trivec.rewriting.prompts",
    "RewriteWeights": "trivec.rewriting.rewriters",
    "ServerStore": "trivec.stores",
    "Similarity": "trivec.encoders.similarity",
    "calibrate": "trivec.answers.calibration",
    "export_encoder": "trivec.exporting",
    "export_reranker": "trivec.exporting",
    "load_encoder": "trivec.loading",
    "load_reranker": "trivec.loading",
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
