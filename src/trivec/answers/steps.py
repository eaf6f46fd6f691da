"""What the pipeline does with a question, as a generator of steps: find passages, take the turn.

It yields what it needs done and is sent the result; what the user is to see it yields besides. See
``trivec._runtime.driving``.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trivec.answers.outcome import AnswerReader, Outcome
from trivec.answers.turn import (
    Answerer,
    NextReply,
    Turn,
    begin_steps,
    listen_steps,
    read_steps,
    timed,
)
from trivec.answers.types import Answer, AnswerPiece, Evidence, Found, Passage, RagOptions
from trivec.errors import AnswerInterruptedError, ModelError, TrivecError
from trivec.index.steps import Compute
from trivec.protocols import Reranker
from trivec.query import Filter
from trivec.rerankers import rank
from trivec.rewriting.rewriters import Rewrite
from trivec.types import Hit, QueryText, SearchOptions

__all__ = [
    "Ask",
    "RagStep",
    "RagSteps",
    "RewriteQuestion",
    "Search",
    "Setting",
    "answer_steps",
    "find_steps",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RewriteQuestion:
    """Have the rewriter write its words for a question; a ``Rewrite`` is sent back."""

    question: str


@dataclass(frozen=True, slots=True)
class Search:
    """Search the index; the hits are sent back."""

    query: str | Sequence[QueryText]
    k: int
    filter: Filter | Mapping[str, Any] | None
    options: SearchOptions


@dataclass(frozen=True, slots=True)
class Ask:
    """Begin to ask the chat model."""

    messages: Sequence[Mapping[str, str]]


RagStep: TypeAlias = RewriteQuestion | Search | Ask | NextReply | Compute[Any] | AnswerPiece
RagSteps: TypeAlias = Generator[RagStep, Any, Answer]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a pipeline answers with; without a rewriter ``rewrites`` is False."""

    answerer: Answerer
    rewrites: bool
    reranker: Reranker | None
    options: RagOptions


@dataclass(slots=True)
class _Search:
    """What is known so far of what a question finds."""

    question: str
    rewrite: Rewrite | None = None
    hits: Sequence[Hit] = ()
    retrieved: int = 0
    rerank_scores: Sequence[float] | None = None
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def texts(self) -> list[str]:
        return [hit.chunk.text for hit in self.hits]

    def evidence(self, options: RagOptions) -> Evidence | None:
        """Return the reranker's word on the passages, where that is the evidence."""
        if options.evidence != "rerank":
            return None
        threshold = None if options.min_evidence == "measured" else options.min_evidence
        return Evidence(max(self.rerank_scores) if self.rerank_scores else None, threshold)

    def answer(self, turn: Turn, outcome: Outcome) -> Answer:
        scores = self.rerank_scores
        passages = tuple(
            Passage(
                number,
                self.hits[packed.position],
                packed.text,
                packed.cut,
                None if scores is None else scores[packed.position],
            )
            for number, packed in enumerate(turn.draft.packed, start=1)
        )
        return Answer(
            question=self.question,
            text=outcome.answer,
            passages=passages,
            citations=outcome.citations,
            unknown=outcome.unknown,
            claims=outcome.claims,
            refused=outcome.refused,
            reason=outcome.reason,
            evidence=turn.evidence,
            rewrite=self.rewrite,
            timings={**self.timings, **turn.timings},
            context_tokens=turn.draft.context_tokens,
            input_tokens=turn.input_tokens,
            output_tokens=turn.output_tokens,
            truncated=turn.truncated,
            notes=tuple(self.notes),
        )


def answer_steps(
    setting: Setting, question: str, filter: Filter | Mapping[str, Any] | None
) -> RagSteps:
    """Answer a question; see :meth:`trivec.RagPipeline.stream`."""
    search = yield from _search(setting, question, filter)
    evidence = search.evidence(setting.options)
    turn = yield from begin_steps(setting.answerer, question, search.texts(), evidence)
    if not search.hits and search.retrieved:  # the reranker's threshold left none of them
        turn.refuse("weak_evidence")
    end = yield from read_steps(turn, _ask)
    if end.text:
        yield AnswerPiece(end.text)
    return search.answer(turn, end.outcome)


def find_steps(
    setting: Setting, question: str, filter: Filter | Mapping[str, Any] | None
) -> Generator[RagStep, Any, Found]:
    """Find passages and weigh them; see :meth:`trivec.RagPipeline.find`."""
    search = yield from _search(setting, question, filter)
    evidence = search.evidence(setting.options)
    turn = yield from begin_steps(
        setting.answerer, question, search.texts(), evidence, always_weigh=True
    )
    return Found(tuple(search.hits), turn.evidence, search.rewrite, tuple(search.notes))


def _search(
    setting: Setting, question: str, filter: Filter | Mapping[str, Any] | None
) -> Generator[RagStep, Any, _Search]:
    """Rewrite, search and rerank, as far as there is something to do it."""
    options, reranker = setting.options, setting.reranker
    search = _Search(question)
    query: str | Sequence[QueryText] = question
    if setting.rewrites:
        with timed(search.timings, "rewrite"):
            search.rewrite = yield RewriteQuestion(question)
        query = search.rewrite.query_texts()
        if search.rewrite.error is not None:
            search.notes.append(f"rewriting failed: {search.rewrite.error}")
    depth = options.max_passages
    if reranker is not None:
        depth = max(depth, options.rerank_candidates)
    with timed(search.timings, "search"):
        search.hits = yield Search(query, depth, filter, options.search)
        search.retrieved = len(search.hits)
    if reranker is not None and search.hits:
        with timed(search.timings, "rerank"):
            yield from _rerank(options, search, reranker)
    return search


def _rerank(
    options: RagOptions, search: _Search, reranker: Reranker
) -> Generator[RagStep, Any, None]:
    hits, texts = search.hits, search.texts()
    scores = [hit.score for hit in hits]
    try:
        ranking = yield Compute(
            lambda: rank(reranker, search.question, texts, options.ranking, retrieved=scores)
        )
    except Exception as err:
        if options.rerank_error == "raise":
            raise
        logger.warning("the reranker failed, the order of the search stands: %r", type(err))
        search.notes.append(f"reranking failed: {type(err).__name__}")
        return
    search.hits = [hits[ranked.position] for ranked in ranking]
    search.rerank_scores = [ranked.score for ranked in ranking]


def _ask(turn: Turn, reader: AnswerReader) -> Generator[RagStep, Any, None]:
    """Ask the model and read what it writes; what it fails with becomes an error of trivec's."""
    try:
        with timed(turn.timings, "model"):
            yield Ask(turn.draft.messages())
        yield from listen_steps(turn, reader)
    except Exception as err:
        if reader.text:
            raise AnswerInterruptedError(reader.text, type(err).__name__) from err
        if isinstance(err, TrivecError):
            raise
        raise ModelError(f"the chat model failed: {type(err).__name__}") from err
