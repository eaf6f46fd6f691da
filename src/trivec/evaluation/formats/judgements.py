"""From texts and judgements, which files keep apart, to questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trivec.evaluation.dataset import FaultKind, Question

__all__ = ["judged"]


def judged(
    texts: Mapping[str, str], grades: Iterable[tuple[str, str, int]]
) -> tuple[list[Question], list[tuple[FaultKind, str]]]:
    """Return every question with its judgements, and the judgements of no question.

    BEIR and TREC keep the questions of all splits in one file; one that this split does not judge
    at all belongs to another, and is left out without a word.

    Args:
        texts: of questions, by id.
        grades: question, passage, grade.
    """
    by_question: dict[str, dict[str, int]] = {}
    for question, passage, grade in grades:
        by_question.setdefault(question, {})[passage] = grade
    questions = [
        Question(identity, texts[identity], relevant)
        for identity, relevant in by_question.items()
        if identity in texts
    ]
    return questions, [
        ("judged question that is not there", identity)
        for identity in by_question
        if identity not in texts
    ]
