"""Retrieval for LLM applications on BGE-M3: dense, learned sparse and ColBERT vectors, in Qdrant.

Importing trivec loads numpy and nothing else: what does the work is loaded when it is first named.
The names here are those that most programs need. The public modules hold the rest, ``docs/api.md``
lists them.
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
from trivec.types import (
    AddReport,
    Chunk,
    Encoding,
    Hit,
    MatchedTerm,
    QueryText,
    Refusal,
    ScorePart,
    SearchOptions,
)

if TYPE_CHECKING:
    from trivec.answers import Answer, AnswerPiece, Passage, RagOptions, RagPipeline
    from trivec.bm25 import AnalyzerConfig
    from trivec.chat import ChatOptions, OpenAIChat
    from trivec.exporting import ExportOptions, export_encoder, export_reranker
    from trivec.index import AsyncHybridIndex, HybridIndex, IndexConfig
    from trivec.loading import load_encoder, load_reranker
    from trivec.questions import QuestionIndex, QuestionOptions, QuestionReport
    from trivec.rewriting import FeedbackRewriter, KeywordRewriter, Rewrite

__all__ = [
    "AddReport",
    "AnalyzerConfig",
    "Answer",
    "AnswerInterruptedError",
    "AnswerPiece",
    "AsyncHybridIndex",
    "ChatOptions",
    "Chunk",
    "CollectionError",
    "CollectionLockedError",
    "CollectionNotFoundError",
    "Encoding",
    "ExportOptions",
    "FeedbackRewriter",
    "FilterError",
    "FingerprintMismatchError",
    "Hit",
    "HybridIndex",
    "IndexConfig",
    "InputError",
    "InvalidVectorError",
    "KeywordRewriter",
    "MatchedTerm",
    "MissingDependencyError",
    "MissingHeadError",
    "ModelError",
    "ModelUnavailableError",
    "OpenAIChat",
    "Passage",
    "QueryText",
    "QuestionIndex",
    "QuestionOptions",
    "QuestionReport",
    "RagOptions",
    "RagPipeline",
    "Refusal",
    "Rewrite",
    "ScorePart",
    "SearchOptions",
    "StoreError",
    "StoreUnavailableError",
    "TrivecError",
    "__version__",
    "export_encoder",
    "export_reranker",
    "load_encoder",
    "load_reranker",
]

_MODULE_OF = {
    "AnalyzerConfig": "trivec.bm25",
    "Answer": "trivec.answers",
    "AnswerPiece": "trivec.answers",
    "AsyncHybridIndex": "trivec.index",
    "ChatOptions": "trivec.chat",
    "ExportOptions": "trivec.exporting",
    "FeedbackRewriter": "trivec.rewriting",
    "HybridIndex": "trivec.index",
    "IndexConfig": "trivec.index",
    "KeywordRewriter": "trivec.rewriting",
    "OpenAIChat": "trivec.chat",
    "Passage": "trivec.answers",
    "QuestionIndex": "trivec.questions",
    "QuestionOptions": "trivec.questions",
    "QuestionReport": "trivec.questions",
    "RagOptions": "trivec.answers",
    "RagPipeline": "trivec.answers",
    "Rewrite": "trivec.rewriting",
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
