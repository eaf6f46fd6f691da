"""One question on its way to an answer, whoever searches and whoever writes the answer.

The pipeline and the adapters of frameworks take the same turn: choose passages, weigh them, ask the
model or refuse, read what it writes, check what it cites.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar

from trivec._runtime.driving import adrive, astream, drive, stream
from trivec._runtime.ending import aending, ending
from trivec._runtime.typed import checked
from trivec.answers.draft import Draft
from trivec.answers.options import AnswerOptions
from trivec.answers.outcome import AnswerReader, Outcome, Reason, refusal
from trivec.answers.packing import TokenCounter, counter_of
from trivec.answers.standards import Standards
from trivec.answers.types import AnswerEnd, AnswerPiece, Evidence
from trivec.events.watching import AnswerWatch
from trivec.index.steps import Compute
from trivec.protocols import Encoder
from trivec.types import ChatReply

__all__ = [
    "Answerer",
    "NextReply",
    "Turn",
    "begin_steps",
    "listen_steps",
    "read_steps",
    "timed",
]

DEFAULT_OPTIONS = AnswerOptions()

StepT = TypeVar("StepT")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NextReply:
    """Wait for what the chat model says next: a ``ChatReply``, or None at the end."""


TurnStep: TypeAlias = NextReply | Compute[Any] | AnswerPiece


class Turn:
    """One question between its passages and its answer; :meth:`Answerer.begin` makes it.

    Read it once, with :meth:`read` or :meth:`aread`.

    Attributes:
        draft: the passages that were chosen, and what the model is asked.
        standards: who judges the answer.
        evidence: how well the best passage bears on the question.
        refused: why the model is not asked; None where it is.
        timings: seconds of each stage that took place.
        input_tokens: tokens of the prompt by the model's own count; None where it does not say.
        output_tokens: tokens that the model wrote, likewise.
        truncated: True where the model stopped at its limit.
    """

    def __init__(
        self, draft: Draft, standards: Standards, evidence: Evidence, timings: dict[str, float]
    ) -> None:
        self.draft = draft
        self.standards = standards
        self.evidence = evidence
        self.timings = timings
        self.refused = draft.refusal(evidence)
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.truncated = False

    @property
    def passages(self) -> list[str]:
        """The texts that the model is given, number 1 first."""
        return self.draft.passages

    def refuse(self, reason: Reason) -> None:
        """End the turn without asking the model."""
        self.refused = refusal(reason, self.draft.language)

    def cited(self, outcome: Outcome, sources: Sequence[T]) -> list[tuple[int, T]]:
        """Return what an outcome cites: each number, and the source of that passage.

        Args:
            outcome: how the turn ended.
            sources: one for each text that the turn began with.
        """
        packed = self.draft.packed
        return [(number, sources[packed[number - 1].position]) for number in outcome.citations]

    def read(
        self, ask: Callable[[list[dict[str, str]]], Iterable[ChatReply]]
    ) -> Generator[AnswerPiece | AnswerEnd, None, None]:
        """Ask the model, unless the turn is refused; yield the answer piece by piece, then its end.

        The model is asked when this is called. Closing the generator closes the model's stream.
        An error of the model is raised as it is.

        Args:
            ask: begins the model's reply to the messages and returns its pieces: the ``stream`` of
                a :class:`trivec.protocols.ChatModel`, for instance.
        """
        watch = self._watch()
        with watch.telling(self.timings):
            pieces = () if self.refused else ask(self.draft.messages())
        return self._read(pieces, watch)

    async def aread(
        self,
        ask: Callable[
            [list[dict[str, str]]],
            AsyncIterable[ChatReply] | Awaitable[AsyncIterable[ChatReply]],
        ],
    ) -> AsyncGenerator[AnswerPiece | AnswerEnd, None]:
        """Ask the model on the event loop; see :meth:`read`. Checks run in a worker thread.

        Args:
            ask: as for :meth:`read`; it may itself have to be awaited.
        """
        watch = self._watch()
        if self.refused:
            return self._aread(_nothing(), watch)
        with watch.telling(self.timings):
            replies = ask(self.draft.messages())
            pieces = await replies if isawaitable(replies) else replies
        return self._aread(pieces, watch)

    def _read(
        self, pieces: Iterable[ChatReply], watch: AnswerWatch
    ) -> Generator[AnswerPiece | AnswerEnd, None, None]:
        with watch.telling(self.timings), ending(pieces) as replies:

            def perform(step: TurnStep) -> Any:
                return step.function() if isinstance(step, Compute) else next(replies, None)

            for event in stream(read_steps(self, listen_steps), perform, AnswerPiece):
                self._tell(watch, event)
                yield event

    async def _aread(
        self, pieces: AsyncIterable[ChatReply], watch: AnswerWatch
    ) -> AsyncGenerator[AnswerPiece | AnswerEnd, None]:
        with watch.telling(self.timings):
            async with aending(pieces) as replies:

                async def perform(step: TurnStep) -> Any:
                    if isinstance(step, Compute):
                        return await asyncio.to_thread(step.function)
                    return await anext(replies, None)

                events = astream(read_steps(self, listen_steps), perform, AnswerPiece)
                async with aclosing(events):
                    async for event in events:
                        self._tell(watch, event)
                        yield event

    def _watch(self) -> AnswerWatch:
        """Return what tells of this answer, whose time began with its passages."""
        return AnswerWatch(self.draft.question, before=sum(self.timings.values()))

    def _tell(self, watch: AnswerWatch, event: AnswerPiece | AnswerEnd) -> None:
        """Tell of the answer as soon as it is whole; the reader may not ask for more."""
        if isinstance(event, AnswerEnd):
            outcome = event.outcome
            watch.answered(
                stages=self.timings,
                answer=outcome.answer,
                passages=len(self.draft.packed),
                citations=outcome.citations,
                refused=outcome.refused,
                reason=outcome.reason,
                input_tokens=self.input_tokens,
                output_tokens=self.output_tokens,
            )


class Answerer:
    """Answers questions; the caller finds the passages and calls the chat model.

    This is what :class:`trivec.RagPipeline` and the chains of the frameworks share. It loads
    nothing and keeps nothing between questions; use it from any number of threads and tasks.

    Args:
        options: the budget of tokens, thresholds of evidence and support, and refusal.
        encoder: measures evidence and support; None measures neither.
        count_tokens: counts the tokens of a text; None takes the encoder's tokenizer, or an
            estimate where it has none.

    Raises:
        InputError: a threshold in the options, and no encoder to measure with.

    Example:
        >>> from trivec.types import ChatReply
        >>> turn = Answerer().begin("How many?", ["There are three."])
        >>> *pieces, end = turn.read(lambda messages: [ChatReply("Three [1].")])
        >>> turn.cited(end.outcome, ["counts.md"])
        [(1, 'counts.md')]
    """

    @checked
    def __init__(
        self,
        options: AnswerOptions = DEFAULT_OPTIONS,
        *,
        encoder: Encoder | None = None,
        count_tokens: TokenCounter | None = None,
    ) -> None:
        self.options = options
        self.standards = Standards.of(options, encoder)
        self.count_tokens = count_tokens or counter_of(encoder)

    @checked
    def begin(self, question: str, texts: Sequence[str], evidence: Evidence | None = None) -> Turn:
        """Choose the passages that the model is given, and weigh them.

        Args:
            question: what is asked.
            texts: what was found, best first.
            evidence: how well the best of them bears on the question, where a reranker knows that
                already; None measures it where the options set a threshold.

        Raises:
            InputError: the question is blank.
        """
        with AnswerWatch(question).telling():
            return drive(begin_steps(self, question, texts, evidence), _compute)

    @checked
    async def abegin(
        self, question: str, texts: Sequence[str], evidence: Evidence | None = None
    ) -> Turn:
        """Choose the passages and weigh them in a worker thread; see :meth:`begin`."""
        with AnswerWatch(question).telling():
            return await adrive(begin_steps(self, question, texts, evidence), _acompute)


def begin_steps(
    answerer: Answerer,
    question: str,
    texts: Sequence[str],
    evidence: Evidence | None = None,
    *,
    always_weigh: bool = False,
) -> Generator[Compute[Any], Any, Turn]:
    """Begin a turn; see ``Answerer.begin``.

    Args:
        answerer: whose options hold.
        question: what is asked.
        texts: what was found, best first.
        evidence: what is known of it already.
        always_weigh: measure the evidence where no threshold needs it, too.
    """
    standards = answerer.standards.for_one_answer()
    timings: dict[str, float] = {}
    with timed(timings, "pack"):
        draft: Draft = yield Compute(
            lambda: Draft(question, texts, answerer.options, answerer.count_tokens)
        )
    if evidence is None:
        evidence = yield from _weigh(standards, draft, timings, always=always_weigh)
    return Turn(draft, standards, evidence, timings)


def _weigh(
    standards: Standards, draft: Draft, timings: dict[str, float], *, always: bool
) -> Generator[Compute[Any], Any, Evidence]:
    """Measure how well the passages bear on the question, as far as a threshold needs it."""
    question, passages, judge = draft.question, draft.passages, standards.judge
    threshold = standards.least_evidence(question, passages)
    if judge is None or not passages or not (always or threshold is not None):
        return Evidence(None, threshold)
    least, lead = standards.least_lead(question, passages), None
    with timed(timings, "evidence"):
        score = yield Compute(lambda: judge.evidence(question, passages))
        if least is not None:
            lead = yield Compute(lambda: judge.lead(question, passages))
    return Evidence(score, threshold, lead, None if lead is None else least)


def listen_steps(turn: Turn, reader: AnswerReader) -> Generator[NextReply | AnswerPiece, Any, None]:
    """Read what the model writes; show it as soon as that may be."""
    while True:
        with timed(turn.timings, "model"):
            reply: ChatReply | None = yield NextReply()
        if reply is None:
            return
        _count(turn, reply)
        if shown := reader.hear(reply):
            yield AnswerPiece(shown)


def read_steps(
    turn: Turn, listen: Callable[[Turn, AnswerReader], Generator[StepT, Any, None]]
) -> Generator[StepT | Compute[Outcome], Any, AnswerEnd]:
    """Read and check the answer, unless the turn is refused; return how it ends.

    Args:
        turn: the turn, begun.
        listen: ``listen_steps``, or what begins by asking the model.
    """
    if turn.refused is not None:
        return AnswerEnd(turn.refused.answer, turn.refused)
    reader = turn.draft.reader()
    yield from listen(turn, reader)
    unshown, outcome = reader.finish()
    with timed(turn.timings, "check"):
        checked: Outcome = yield Compute(lambda: turn.draft.checked(outcome, turn.standards))
    return AnswerEnd(turn.draft.rest(unshown, checked), checked)


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds that pass to a stage's."""
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


def _count(turn: Turn, reply: ChatReply) -> None:
    """Take the model's own counts, which the last piece alone may know."""
    if reply.input_tokens is not None:
        turn.input_tokens = reply.input_tokens
    if reply.output_tokens is not None:
        turn.output_tokens = reply.output_tokens
    turn.truncated |= reply.truncated


def _compute(step: Compute[Any]) -> Any:
    return step.function()


async def _acompute(step: Compute[Any]) -> Any:
    return await asyncio.to_thread(step.function)


async def _nothing() -> AsyncGenerator[ChatReply, None]:
    return
    yield
