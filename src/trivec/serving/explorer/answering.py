"""An answer with its citations, by the chat model that the explorer was given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivec.answers import Answer, RagOptions, RagPipeline
from trivec.serving.explorer.finding import Finder
from trivec.serving.explorer.marking import visible
from trivec.serving.explorer.options import ExplorerOptions
from trivec.serving.explorer.state import State

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Answered", "answered"]

PASSAGES = 8
CITATION = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer for the page.

    Attributes:
        answer: as the pipeline gave it.
        text: with citations that lead to the passages.
    """

    answer: Answer
    text: Markup


def answered(
    finder: Finder, options: ExplorerOptions, state: State, conditions: Mapping[str, Any] | None
) -> Answered:
    """Ask the chat model for an answer.

    Raises:
        TrivecError: the search or the model failed.
    """
    settings: dict[str, Any] = {}
    if options.min_evidence is not None:
        settings["min_evidence"] = options.min_evidence
    rag = RagPipeline(
        finder.index,
        options.chat,
        rewriter=finder.rewriter(state),
        reranker=options.reranker if state.rerank else None,
        options=RagOptions(
            search=state.options(),
            max_passages=PASSAGES,
            ranking=options.ranking,
            rerank_candidates=options.candidates,
            **settings,
        ),
    )
    answer = rag.answer(state.question, filter=conditions)
    return Answered(answer, _linked(answer))


def _linked(answer: Answer) -> Markup:
    from markupsafe import Markup

    parts, end = [], 0
    for match in CITATION.finditer(answer.text):
        number = int(match[1])
        if number not in answer.citations:
            continue
        parts.append(visible(answer.text[end : match.start()]))
        parts.append(Markup('<a class="cite" href="#passage-{0}">[{0}]</a>').format(number))
        end = match.end()
    return Markup("").join([*parts, visible(answer.text[end:])])
