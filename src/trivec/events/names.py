"""The names of spans and attributes, each convention with the version that they were taken from.

Both are still being developed: what changes there is changed here, and nowhere else.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ANSWER_OPERATION",
    "ERROR_TYPE",
    "GEN_AI_VERSION",
    "OPENINFERENCE_VERSION",
    "SEARCH_OPERATION",
    "GenAi",
    "OpenInference",
    "Trivec",
]

GEN_AI_VERSION: Final = "0.1.0"
"""Of OpenTelemetry's semantic conventions for generative AI, ``semantic-conventions-genai``."""

OPENINFERENCE_VERSION: Final = "0.1"
"""Of OpenInference's semantic conventions, which Phoenix reads."""

SEARCH_OPERATION: Final = "retrieval"
ANSWER_OPERATION: Final = "invoke_workflow"
ERROR_TYPE: Final = "error.type"


class GenAi:
    """Attributes of OpenTelemetry's conventions; those of text are opt-in there, too."""

    OPERATION: Final = "gen_ai.operation.name"
    DATA_SOURCE: Final = "gen_ai.data_source.id"
    TOP_K: Final = "gen_ai.retrieval.top_k"
    QUERY: Final = "gen_ai.retrieval.query.text"
    DOCUMENTS: Final = "gen_ai.retrieval.documents"
    WORKFLOW: Final = "gen_ai.agent.name"
    INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
    INPUT: Final = "gen_ai.input.messages"
    OUTPUT: Final = "gen_ai.output.messages"


class OpenInference:
    """Attributes of OpenInference."""

    KIND: Final = "openinference.span.kind"
    RETRIEVER: Final = "RETRIEVER"
    CHAIN: Final = "CHAIN"
    INPUT: Final = "input.value"
    OUTPUT: Final = "output.value"
    DOCUMENT_ID: Final = "retrieval.documents.{}.document.id"
    DOCUMENT_SCORE: Final = "retrieval.documents.{}.document.score"
    INPUT_TOKENS: Final = "llm.token_count.prompt"
    OUTPUT_TOKENS: Final = "llm.token_count.completion"


class Trivec:
    """Attributes that no convention has."""

    STAGE: Final = "trivec.stage.{}.seconds"
    ARMS: Final = "trivec.arms"
    FUSION: Final = "trivec.fusion"
    QUERIES: Final = "trivec.queries"
    HITS: Final = "trivec.hits"
    PASSAGES: Final = "trivec.passages"
    CITATIONS: Final = "trivec.citations"
    REFUSED: Final = "trivec.refused"
    REASON: Final = "trivec.reason"
