"""From a user's question to the words of the domain, by a chat model or by the corpus itself."""

from __future__ import annotations

from trivec.rewriting.prompts import RewriteExample
from trivec.rewriting.rewriters import (
    DEFAULT_WEIGHTS,
    KEYWORD_INSTRUCTIONS,
    FeedbackRewriter,
    KeywordRewriter,
    KeywordSource,
    Rewrite,
    RewriteErrorMode,
    Rewriter,
    RewriteWeights,
    parse_keywords,
)
from trivec.rewriting.vocabulary import CorpusTerm, CorpusTerms, CorpusVocabulary

__all__ = [
    "DEFAULT_WEIGHTS",
    "KEYWORD_INSTRUCTIONS",
    "CorpusTerm",
    "CorpusTerms",
    "CorpusVocabulary",
    "FeedbackRewriter",
    "KeywordRewriter",
    "KeywordSource",
    "Rewrite",
    "RewriteErrorMode",
    "RewriteExample",
    "RewriteWeights",
    "Rewriter",
    "parse_keywords",
]
