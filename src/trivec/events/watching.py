"""What the core's rooms hold while a search or an answer is under way, to tell of it at its end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from trivec.events.listening import is_listened, tell
from trivec.events.types import AnswerEvent, SearchEvent
from trivec.types import Hit, QueryText

__all__ = ["AnswerWatch", "Laps", "SearchWatch", "as_one_search"]


class Laps:
    """Seconds of the stages of an operation, each from the end of the one before."""

    __slots__ = ("_last", "began", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.began = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class SearchWatch:
    """A search under way.

    Args:
        index: what is searched; its ``repr`` names it.
        queries: what is asked.
        k: how many passages are asked for.
        fusion: how lists become one.
    """

    __slots__ = ("_index", "_queries", "arms", "fusion", "k", "laps")

    def __init__(
        self,
        index: object,
        queries: Sequence[str | QueryText | Sequence[QueryText]],
        k: int,
        fusion: str,
    ) -> None:
        self._index, self._queries = index, queries
        self.k, self.fusion = k, fusion
        self.laps = Laps()
        self.arms: Sequence[str] = ()

    def found(self, results: Sequence[Sequence[Hit]]) -> None:
        """Tell what was found: the hits of each query."""
        if _is_told():
            self._tell(
                ids=tuple(tuple(hit.id for hit in hits) for hits in results),
                scores=tuple(tuple(hit.score for hit in hits) for hits in results),
            )

    def failed(self, error: BaseException) -> None:
        """Tell that it failed, or was cancelled."""
        if _is_told():
            self._tell(error=type(error).__name__)

    def _tell(self, **outcome: Any) -> None:
        now, answer = time.perf_counter(), _ANSWER.get()
        seconds = now - self.laps.began
        event = SearchEvent(
            index=repr(self._index),
            started=time.time() - seconds,
            seconds=seconds,
            stages=self.laps.seconds,
            queries=len(self._queries),
            k=self.k,
            arms=tuple(self.arms),
            fusion=self.fusion,
            answer=None if answer is None else answer.id,
            texts=tuple(map(_first_text, self._queries)),
            **outcome,
        )
        if answer is not None:
            answer.searches.append(event)
        tell(event)


class AnswerWatch:
    """An answer under way; it is told of once.

    Args:
        question: what was asked.
        before: seconds that it took until now.
    """

    def __init__(self, question: str, *, before: float = 0.0) -> None:
        self.id = uuid.uuid4().hex if is_listened() else ""
        self.searches: list[SearchEvent] = []
        self._question = question
        self._began = time.perf_counter() - before
        self._told = False

    @contextmanager
    def around(self) -> Iterator[None]:
        """Let the searches that take place belong to this answer."""
        if not self.id:
            yield
            return
        token = _ANSWER.set(self)
        try:
            yield
        finally:
            _ANSWER.reset(token)

    def answered(self, *, stages: Mapping[str, float], answer: str, **outcome: Any) -> None:
        """Tell how it ended; ``outcome`` has fields of ``AnswerEvent``."""
        self._tell(stages=stages, answer=answer, **outcome)

    @contextmanager
    def telling(self, stages: Mapping[str, float] | None = None) -> Iterator[None]:
        """Tell where it fails or is broken off, unless it has ended before."""
        try:
            yield
        except BaseException as err:
            self._tell(error=type(err).__name__, stages=stages or {})
            raise

    def _tell(self, *, stages: Mapping[str, float], **outcome: Any) -> None:
        if self._told or not self.id:
            return
        self._told = True
        seconds = time.perf_counter() - self._began
        tell(
            AnswerEvent(
                id=self.id,
                started=time.time() - seconds,
                seconds=seconds,
                stages=dict(stages),
                searches=tuple(self.searches),
                question=self._question,
                **outcome,
            )
        )


_ANSWER: ContextVar[AnswerWatch | None] = ContextVar("trivec_answer", default=None)
_PART: ContextVar[bool] = ContextVar("trivec_part_of_a_search", default=False)


@contextmanager
def as_one_search() -> Iterator[None]:
    """Tell of no search that takes place: they are parts of one that is told of by itself."""
    token = _PART.set(True)
    try:
        yield
    finally:
        _PART.reset(token)


def _first_text(query: str | QueryText | Sequence[QueryText]) -> str:
    """Return the first text of a query, of one that cannot be searched for too."""
    first = query if isinstance(query, str | QueryText) else next(iter(query), "")
    return first.text if isinstance(first, QueryText) else first


def _is_told() -> bool:
    return is_listened() and not _PART.get()
