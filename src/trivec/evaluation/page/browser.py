"""The questions and what systems found for them, small enough for a page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from trivec._runtime.showing import shown
from trivec.evaluation.metrics import MAIN_MEASURE
from trivec.evaluation.reports import baseline_of
from trivec.evaluation.results import Evaluation

__all__ = ["browser_data"]

LISTED = 5
"""Passages of each list."""

EXCERPT = 160
"""Characters of a passage."""


def browser_data(evaluation: Evaluation, budget: int) -> tuple[str, int]:
    """Return the page's data as JSON that is safe in a script element, and how many questions.

    Where all do not fit, those on which the systems differ most are kept.

    Args:
        evaluation: what was found.
        budget: the most bytes.
    """
    figures = np.stack(list(evaluation.figures(MAIN_MEASURE).values()))
    spread = figures.max(axis=0) - figures.min(axis=0)
    order = np.argsort(-spread, kind="stable").tolist()
    count = len(order)
    while True:
        text = _json(_data(evaluation, sorted(order[:count]), figures))
        size = len(text.encode("utf-8"))
        if size <= budget or count == 0:
            return text, count
        count = min(int(count * budget / size * 0.97), count - 1)


def _data(evaluation: Evaluation, chosen: list[int], figures: Any) -> dict[str, Any]:
    numbers: dict[str, int] = {}
    questions = evaluation.dataset.questions

    def number(key: str) -> int:
        return numbers.setdefault(key, len(numbers))

    asked = [
        [shown(questions[at].text), [number(key) for key in questions[at].relevant]]
        for at in chosen
    ]
    found = [
        [[number(key) for key in system.results[at].ids[:LISTED]] for at in chosen]
        for system in evaluation.systems
    ]
    base = evaluation.names.index(baseline_of(evaluation))
    return {
        "systems": [shown(name) for name in evaluation.names],
        "base": base,
        "other": 0 if base else min(1, len(evaluation.names) - 1),
        "questions": asked,
        "found": found,
        "scores": [[round(1000 * figures[row, at]) for at in chosen] for row in range(len(found))],
        "passages": [[shown(key), _excerpt(evaluation.texts.get(key, ""))] for key in numbers],
    }


def _excerpt(text: str) -> str:
    words = " ".join(text.split())
    return shown(words if len(words) <= EXCERPT else f"{words[:EXCERPT]}…")


def _json(data: dict[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")
