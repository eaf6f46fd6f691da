"""Answering as a generator of steps, so that one body serves every kind of pipeline.

It yields what it needs done and is sent the result; what the user is to see it yields besides. See
``trivec.index.steps``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trivec.answers.outcome import AnswerReader, Outcome, refusal
from trivec.answers.packing import TokenCounter
from trivec.answers.turn import Draft, Standards
from trivec.answers.types import Answer, AnswerPiece, Evidence, Found, Passage, RagOptions
from trivec.errors import AnswerInterruptedError, ModelError, TrivecError
from trivec.index.steps import Compute
from trivec.protocols import Reranker
from trivec.query import Filter
from trivec.rerankers import rank
from trivec.rewriting.rewriters import Rewrite
from trivec.types import ChatReply, Hit, QueryText, SearchOptions

__all__ = [
    "Ask",
    "NextReply",
    "RagStep",
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


@dataclass(frozen=True, slots=True)
class NextReply:
    """Wait for what the chat model says next: a ``ChatReply``, or None at the end."""


RagStep: TypeAlias = RewriteQuestion | Search | Ask | NextReply | Compute[Any]
RagSteps: TypeAlias = Generator[RagStep | AnswerPiece, Any, Answer]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a pipeline answers with; without a rewriter ``rewrites`` is False."""

    standards: Standards
    rewrites: bool
    reranker: Reranker | None
    options: RagOptions
    count: TokenCounter


@dataclass(slots=True)
class _Progress:
    """What is known so far of one answer."""

    question: str
    rewrite: Rewrite | None = None
    hits: Sequence[Hit] = ()
    found: int = 0
    rerank_scores: Sequence[float] | None = None
    evidence: Evidence = field(default_factory=Evidence)
    input_tokens: int | None = None
    output_tokens: int | None = None
    truncated: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that passes to a stage's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start

    def count(self, reply: ChatReply) -> None:
        """Take the model's own counts, which the last piece alone may know."""
        if reply.input_tokens is not None:
            self.input_tokens = reply.input_tokens
        if reply.output_tokens is not None:
            self.output_tokens = reply.output_tokens
        self.truncated |= reply.truncated

    def answer(self, draft: Draft, outcome: Outcome) -> Answer:
        scores = self.rerank_scores
        passages = tuple(
            Passage(
                number,
                self.hits[packed.position],
                packed.text,
                packed.cut,
                None if scores is None else scores[packed.position],
            )
            for number, packed in enumerate(draft.packed, start=1)
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
            evidence=self.evidence,
            rewrite=self.rewrite,
            timings=dict(self.timings),
            context_tokens=draft.context_tokens,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            truncated=self.truncated,
            notes=tuple(self.notes),
        )


def answer_steps(
    setting: Setting, question: str, filter: Filter | Mapping[str, Any] | None
) -> RagSteps:
    """Answer a question; see :meth:`trivec.RagPipeline.stream`."""
    options = setting.options
    standards = setting.standards.for_one_answer()
    progress = _Progress(question)
    yield from _find(setting, progress, filter)
    with progress.stage("pack"):
        texts = [hit.chunk.text for hit in progress.hits]
        draft = yield Compute(lambda: Draft(question, texts, options, setting.count))
    yield from _weigh(setting, progress, draft, standards)
    refused = draft.refusal(progress.evidence.score, progress.evidence.threshold)
    if not progress.hits and progress.found:  # the reranker's threshold left none of them
        refused = refusal("weak_evidence", draft.language)
    if refused is not None:
        yield AnswerPiece(refused.answer)
        return progress.answer(draft, refused)
    reader = yield from _ask(progress, draft)
    rest, outcome = reader.finish()
    if rest and not options.refuse_unsupported:
        yield AnswerPiece(rest)
    with progress.stage("check"):
        outcome = yield Compute(lambda: draft.checked(outcome, standards))
    if options.refuse_unsupported:
        yield AnswerPiece(outcome.answer)
    return progress.answer(draft, outcome)


def find_steps(
    setting: Setting, question: str, filter: Filter | Mapping[str, Any] | None
) -> Generator[RagStep, Any, Found]:
    """Find passages and weigh them; see :meth:`trivec.RagPipeline.find`."""
    progress = _Progress(question)
    yield from _find(setting, progress, filter)
    texts = [hit.chunk.text for hit in progress.hits]
    draft = yield Compute(lambda: Draft(question, texts, setting.options, setting.count))
    yield from _weigh(setting, progress, draft, setting.standards, always=True)
    return Found(tuple(progress.hits), progress.evidence, progress.rewrite, tuple(progress.notes))


def _find(
    setting: Setting, progress: _Progress, filter: Filter | Mapping[str, Any] | None
) -> Generator[RagStep, Any, None]:
    """Rewrite, search and rerank, as far as there is something to do it."""
    options = setting.options
    query: str | Sequence[QueryText] = progress.question
    if setting.rewrites:
        with progress.stage("rewrite"):
            progress.rewrite = yield RewriteQuestion(progress.question)
        query = progress.rewrite.query_texts()
        if progress.rewrite.error is not None:
            progress.notes.append(f"rewriting failed: {progress.rewrite.error}")
    depth = options.max_passages
    if setting.reranker is not None:
        depth = max(depth, options.rerank_candidates)
    with progress.stage("search"):
        progress.hits = yield Search(query, depth, filter, options.search)
        progress.found = len(progress.hits)
    if setting.reranker is not None and progress.hits:
        with progress.stage("rerank"):
            yield from _rerank(setting, progress, setting.reranker)


def _rerank(
    setting: Setting, progress: _Progress, reranker: Reranker
) -> Generator[RagStep, Any, None]:
    options, found = setting.options, progress.hits
    texts = [hit.chunk.text for hit in found]
    scores = [hit.score for hit in found]
    try:
        ranked = yield Compute(
            lambda: rank(reranker, progress.question, texts, options.ranking, retrieved=scores)
        )
    except Exception as err:
        if options.rerank_error == "raise":
            raise
        logger.warning("the reranker failed, the order of the search stands: %r", type(err))
        progress.notes.append(f"reranking failed: {type(err).__name__}")
        return
    progress.hits = [found[each.position] for each in ranked]
    progress.rerank_scores = [each.score for each in ranked]


def _weigh(
    setting: Setting,
    progress: _Progress,
    draft: Draft,
    standards: Standards,
    *,
    always: bool = False,
) -> Generator[RagStep, Any, None]:
    """Measure the evidence where there is a threshold for it, or always where it can be."""
    options = setting.options
    if options.evidence == "rerank":
        scores = progress.rerank_scores
        threshold = None if options.min_evidence == "measured" else options.min_evidence
        progress.evidence = Evidence(max(scores) if scores else None, threshold)
        return
    score, judge, threshold = None, standards.judge, standards.evidence
    if judge is not None and draft.packed and (always or threshold is not None):
        with progress.stage("evidence"):
            score = yield Compute(lambda: judge.evidence(progress.question, draft.passages))
    progress.evidence = Evidence(score, threshold)


def _ask(progress: _Progress, draft: Draft) -> Generator[RagStep | AnswerPiece, Any, AnswerReader]:
    """Pass on what the model writes as soon as it may be shown; return what has read it."""
    reader = draft.reader()
    try:
        with progress.stage("model"):
            yield Ask(draft.messages())
        while True:
            with progress.stage("model"):
                reply: ChatReply | None = yield NextReply()
            if reply is None:
                return reader
            progress.count(reply)
            if shown := reader.feed(reply.text):
                yield AnswerPiece(shown)
    except Exception as err:
        if reader.text:
            raise AnswerInterruptedError(reader.text, type(err).__name__) from err
        if isinstance(err, TrivecError):
            raise
        raise ModelError(f"the chat model failed: {type(err).__name__}") from err
