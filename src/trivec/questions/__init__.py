"""Passages found by the questions they answer, and by what users said of them."""

from __future__ import annotations

from trivec.questions.index import QuestionIndex, QuestionOptions, QuestionReport
from trivec.questions.records import Verdict
from trivec.questions.writing import QuestionPrompts

__all__ = [
    "QuestionIndex",
    "QuestionOptions",
    "QuestionPrompts",
    "QuestionReport",
    "Verdict",
]
