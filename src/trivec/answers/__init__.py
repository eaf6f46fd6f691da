"""From found passages to an answer with citations, or to a refusal with its reason."""

from __future__ import annotations

from trivec.answers.calibration import Calibration, LabelledQuestion, calibrate
from trivec.answers.packing import TokenCounter
from trivec.answers.pipeline import RagPipeline
from trivec.answers.support import Claim
from trivec.answers.turn import AnswerOptions
from trivec.answers.types import Answer, AnswerPiece, Evidence, Found, Passage, RagOptions

__all__ = [
    "Answer",
    "AnswerOptions",
    "AnswerPiece",
    "Calibration",
    "Claim",
    "Evidence",
    "Found",
    "LabelledQuestion",
    "Passage",
    "RagOptions",
    "RagPipeline",
    "TokenCounter",
    "calibrate",
]
