"""What searches and answers tell whoever listens: one event each, with stages, counts and ids."""

from __future__ import annotations

from trivec.events.listening import EventListener, Subscription, listen
from trivec.events.spans import SpanConvention, Spans
from trivec.events.types import AnswerEvent, Event, SearchEvent

__all__ = [
    "AnswerEvent",
    "Event",
    "EventListener",
    "SearchEvent",
    "SpanConvention",
    "Spans",
    "Subscription",
    "listen",
]
