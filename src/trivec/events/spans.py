"""Events as spans of OpenTelemetry, by the names of a convention."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from trivec._runtime.checks import check_choice
from trivec._runtime.dependencies import unavailable
from trivec.events.names import (
    ANSWER_OPERATION,
    ERROR_TYPE,
    SEARCH_OPERATION,
    GenAi,
    OpenInference,
    Trivec,
)
from trivec.events.types import AnswerEvent, Event, SearchEvent

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["SpanConvention", "Spans"]

SpanConvention: TypeAlias = Literal["gen_ai", "openinference"]
"""Whose names the attributes have."""

NANOSECONDS = 1_000_000_000


class Spans:
    """A listener that makes a span of each event, below the span that is current then.

    The searches of an answer are spans below the answer's. Which passages were found is told by
    ids and scores. Questions and answers are attributes only for ``listen(spans, text=True)``.

    Args:
        provider: of tracers; None takes OpenTelemetry's global one.
        convention: whose names: ``gen_ai``, OpenTelemetry's own, or ``openinference``, Phoenix's.

    Raises:
        MissingDependencyError: opentelemetry-api is not installed (extra ``telemetry``).
        InputError: there is no such convention.

    Example:
        >>> from trivec.events import Spans, listen
        >>> subscription = listen(Spans())
        >>> subscription.close()
    """

    def __init__(
        self, provider: TracerProvider | None = None, *, convention: SpanConvention = "gen_ai"
    ) -> None:
        check_choice("convention", convention, SpanConvention)
        try:
            from opentelemetry import trace
        except ImportError as err:
            raise unavailable(err, "opentelemetry", "telemetry") from err
        self._trace = trace
        self._tracer = trace.get_tracer("trivec", tracer_provider=provider)
        self._convention: SpanConvention = convention

    def __call__(self, event: Event) -> None:
        """Make the spans of an event; a search within an answer waits for the answer's."""
        if isinstance(event, AnswerEvent):
            span = self._span(event, ANSWER_OPERATION, self._answer(event))
            below = self._trace.set_span_in_context(span)
            for search in event.searches:
                self._searched(search, below)
            self._end(span, event)
        elif event.answer is None:
            self._searched(event)

    def _searched(self, event: SearchEvent, below: Context | None = None) -> None:
        self._end(self._span(event, SEARCH_OPERATION, self._search(event), below), event)

    def _span(
        self,
        event: Event,
        name: str,
        attributes: dict[str, Any],
        below: Context | None = None,
    ) -> Span:
        stages = {Trivec.STAGE.format(stage): each for stage, each in event.stages.items()}
        return self._tracer.start_span(
            name,
            context=below,
            kind=self._trace.SpanKind.INTERNAL,
            attributes={key: one for key, one in (attributes | stages).items() if one is not None},
            start_time=int(event.started * NANOSECONDS),
        )

    def _end(self, span: Span, event: Event) -> None:
        if event.error is not None:
            span.set_attribute(ERROR_TYPE, event.error)
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(end_time=int((event.started + event.seconds) * NANOSECONDS))

    def _search(self, event: SearchEvent) -> dict[str, Any]:
        documents = [
            (identity, score)
            for ids, scores in zip(event.ids, event.scores, strict=True)
            for identity, score in zip(ids, scores, strict=True)
        ]
        own = {
            Trivec.ARMS: event.arms,
            Trivec.FUSION: event.fusion,
            Trivec.QUERIES: event.queries,
            Trivec.HITS: event.hits,
        }
        text = "\n".join(event.texts) or None
        if self._convention == "openinference":
            numbered: dict[str, Any] = {}
            for number, (identity, score) in enumerate(documents):
                numbered[OpenInference.DOCUMENT_ID.format(number)] = identity
                numbered[OpenInference.DOCUMENT_SCORE.format(number)] = score
            kind = {OpenInference.KIND: OpenInference.RETRIEVER, OpenInference.INPUT: text}
            return own | kind | numbered
        listed = [{"id": identity, "score": score} for identity, score in documents]
        return own | {
            GenAi.OPERATION: SEARCH_OPERATION,
            GenAi.DATA_SOURCE: event.index,
            GenAi.TOP_K: event.k,
            GenAi.QUERY: text,
            GenAi.DOCUMENTS: json.dumps(listed, ensure_ascii=False),
        }

    def _answer(self, event: AnswerEvent) -> dict[str, Any]:
        own = {
            Trivec.PASSAGES: event.passages,
            Trivec.CITATIONS: event.citations,
            Trivec.REFUSED: event.refused,
            Trivec.REASON: event.reason,
        }
        if self._convention == "openinference":
            return own | {
                OpenInference.KIND: OpenInference.CHAIN,
                OpenInference.INPUT: event.question or None,
                OpenInference.OUTPUT: event.answer or None,
                OpenInference.INPUT_TOKENS: event.input_tokens,
                OpenInference.OUTPUT_TOKENS: event.output_tokens,
            }
        return own | {
            GenAi.OPERATION: ANSWER_OPERATION,
            GenAi.WORKFLOW: "trivec",
            GenAi.INPUT_TOKENS: event.input_tokens,
            GenAi.OUTPUT_TOKENS: event.output_tokens,
            GenAi.INPUT: _message("user", event.question),
            GenAi.OUTPUT: _message("assistant", event.answer),
        }


def _message(role: str, text: str) -> str | None:
    """Return a text as the one message of a conversation, in the convention's JSON."""
    if not text:
        return None
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False)
