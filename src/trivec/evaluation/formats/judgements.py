"""From texts and judgements, which files keep apart, to questions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluation.dataset import FaultKind, Question

__all__ = ["grade_of", "judged"]


def judged(
    texts: Iterable[tuple[str, str]], grades: Iterable[tuple[str, str, int]]
) -> tuple[list[Question], list[tuple[FaultKind, str]]]:
    """Return every question with its judgements, and what is wrong with either.

    BEIR and TREC keep the questions of all splits in one file; one that this split does not judge
    at all belongs to another, and is left out without a word. Of two texts with one id, and of two
    grades of one pair, the first counts.

    Args:
        texts: ids and questions.
        grades: question, passage, grade.
    """
    faults: list[tuple[FaultKind, str]] = []
    asked: dict[str, str] = {}
    for identity, text in texts:
        if asked.setdefault(identity, text) != text:
            faults.append(("duplicate question id", identity))
    by_question: dict[str, dict[str, int]] = {}
    for question, passage, grade in grades:
        if by_question.setdefault(question, {}).setdefault(passage, grade) != grade:
            faults.append(("judged twice", f"{question} {passage}"))
    faults += [
        ("judged question that is not there", identity)
        for identity in by_question
        if identity not in asked
    ]
    questions = [
        Question(identity, asked[identity], relevant)
        for identity, relevant in by_question.items()
        if identity in asked
    ]
    return questions, faults


def grade_of(text: str, path: Path, number: int) -> int:
    """Return a grade, which some files write as ``1.0``.

    Raises:
        InputError: it is no whole number.
    """
    try:
        value = float(text)
        grade = int(value)
    except (ValueError, OverflowError) as err:
        raise InputError(f"{path}, line {number}: the grade {text!r} is not a number") from err
    if value != grade:
        raise InputError(f"{path}, line {number}: the grade {text!r} is not a whole number")
    return grade
