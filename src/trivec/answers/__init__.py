"""From found passages to an answer with citations, or to a refusal with its reason."""

from __future__ import annotations

from trivec.answers.calibration import Calibration, LabelledQuestion, calibrate
from trivec.answers.evidence import Judge, SentenceHit, best_sentences
from trivec.answers.options import AnswerOptions, Threshold
from trivec.answers.outcome import Outcome, Reason
from trivec.answers.packing import TokenCounter, estimated_tokens
from trivec.answers.pipeline import RagPipeline
from trivec.answers.support import Claim
from trivec.answers.turn import Answerer, Turn
from trivec.answers.types import (
    Answer,
    AnswerEnd,
    AnswerPiece,
    Evidence,
    EvidenceScore,
    Found,
    Passage,
    RagOptions,
    RerankErrorMode,
)

__all__ = [
    "Answer",
    "AnswerEnd",
    "AnswerOptions",
    "AnswerPiece",
    "Answerer",
    "Calibration",
    "Claim",
    "Evidence",
    "EvidenceScore",
    "Found",
    "Judge",
    "LabelledQuestion",
    "Outcome",
    "Passage",
    "RagOptions",
    "RagPipeline",
    "Reason",
    "RerankErrorMode",
    "SentenceHit",
    "Threshold",
    "TokenCounter",
    "Turn",
    "best_sentences",
    "calibrate",
    "estimated_tokens",
]
