"""The events, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

__all__ = ["AnswerEvent", "Event", "SearchEvent", "without_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEvent:
    """A search that has ended, well or with an error. A batch is one search of several queries.

    Attributes:
        index: what was searched, as its store calls itself.
        started: seconds since 1970.
        seconds: how long it took.
        stages: seconds of each stage that took place: ``words`` (how rare words are, where a
            tenant's are counted), ``encode``, ``store``, ``explain``.
        queries: how many were asked at once.
        k: how many passages were asked for.
        arms: that took part.
        fusion: how their lists became one.
        ids: of the passages that were found, best first, for each query.
        scores: of the same passages.
        error: the name of the error's class; None where all went well.
        answer: the id of the answer that the search is a part of; None of a search by itself.
        texts: the first text of each query; empty unless the listener asked for text.
    """

    index: str
    started: float
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    queries: int = 1
    k: int = 0
    arms: tuple[str, ...] = ()
    fusion: str = ""
    ids: tuple[tuple[str, ...], ...] = ()
    scores: tuple[tuple[float, ...], ...] = ()
    error: str | None = None
    answer: str | None = None
    texts: tuple[str, ...] = ()

    @property
    def hits(self) -> int:
        """How many passages were found for all queries together."""
        return sum(map(len, self.ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEvent:
    """An answer that has ended: given, refused, broken off or failed.

    Attributes:
        id: its own, which the searches in it name.
        started: seconds since 1970.
        seconds: how long it took.
        stages: seconds of each stage that took place, as in :attr:`trivec.Answer.timings`.
        searches: the events of the searches in it; an adapter's chain searches by itself.
        passages: how many the model was given, or would have been.
        ids: theirs, number 1 first; empty where the caller found them.
        citations: the numbers of the passages that the answer cites.
        refused: whether there is no answer.
        reason: why there is none, or what is wrong with it; see :attr:`trivec.Answer.reason`.
        input_tokens: of the prompt by the model's own count; None where it does not say.
        output_tokens: that the model wrote, likewise.
        error: the name of the error's class; ``GeneratorExit`` or ``CancelledError`` where the
            reader went away before the end.
        question: what was asked; empty unless the listener asked for text.
        answer: the answer's text, likewise.
    """

    id: str
    started: float
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    searches: tuple[SearchEvent, ...] = ()
    passages: int = 0
    ids: tuple[str, ...] = ()
    citations: tuple[int, ...] = ()
    refused: bool = False
    reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    question: str = ""
    answer: str = ""


Event: TypeAlias = SearchEvent | AnswerEvent
"""What a listener is called with."""


def without_text(event: Event) -> Event:
    """Return an event without anything that somebody wrote."""
    if isinstance(event, SearchEvent):
        return replace(event, texts=())
    searches = tuple(replace(search, texts=()) for search in event.searches)
    return replace(event, searches=searches, question="", answer="")
