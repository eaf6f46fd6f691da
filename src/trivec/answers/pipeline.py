"""From a question to an answer with citations, or to a refusal that says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from dataclasses import replace
from typing import Any, TypeAlias

from trivec._runtime.driving import adrive, astream, drive, stream
from trivec._runtime.typed import checked
from trivec.answers.options import AnswerOptions
from trivec.answers.packing import TokenCounter
from trivec.answers.steps import (
    Ask,
    RagStep,
    RagSteps,
    RewriteQuestion,
    Search,
    Setting,
    answer_steps,
    find_steps,
)
from trivec.answers.turn import Answerer, NextReply
from trivec.answers.types import Answer, AnswerPiece, Found, RagOptions
from trivec.chat.conversation import AsyncConversation, Conversation, InThread, Talk
from trivec.errors import InputError
from trivec.events.watching import AnswerWatch
from trivec.index import HybridIndex
from trivec.index.aio import AsyncHybridIndex
from trivec.index.steps import Compute
from trivec.protocols import AsyncChatModel, ChatModel, Reranker
from trivec.query import Filter
from trivec.questions.index import QuestionIndex
from trivec.rewriting.rewriters import Rewriter
from trivec.types import Hit

__all__ = ["RagPipeline"]

DEFAULT_OPTIONS = RagOptions()

Around: TypeAlias = Callable[[], AbstractContextManager[None]]


class RagPipeline:
    """Answers questions from what an index holds.

    A question is rewritten and reranked where there is something to do it; the best passages are
    packed into a budget of tokens; the model is asked only where their evidence suffices; its
    citations are checked. Nothing is kept between questions, and one pipeline may be used from
    several threads and tasks.

    Args:
        index: what is searched: passages, or these and the questions that they answer.
        chat: the language model; None for :meth:`find` alone. The methods that await need an
            ``AsyncChatModel``, or run a ``ChatModel`` in worker threads.
        rewriter: adds the domain's words to the question: a ``KeywordRewriter``, for instance.
        reranker: orders anew what was found.
        options: everything else.
        count_tokens: counts the tokens of a text; None takes the encoder's tokenizer, or an
            estimate where it has none.

    Raises:
        InputError: options that the index or the reranker cannot serve.

    Example:
        >>> chat = OpenAIChat.connect("gpt-5-mini")  # doctest: +SKIP
        >>> rag = RagPipeline(index, chat)  # doctest: +SKIP
        >>> answer = rag.answer("Which fruit has more vitamin C?")  # doctest: +SKIP
        >>> answer.text, answer.cited[0].hit.chunk.source  # doctest: +SKIP
        ('The baobab fruit has three times that of an orange [1].', 'baobab.md')
    """

    @checked
    def __init__(
        self,
        index: HybridIndex | AsyncHybridIndex | QuestionIndex,
        chat: ChatModel | AsyncChatModel | None,
        *,
        rewriter: Rewriter | None = None,
        reranker: Reranker | None = None,
        options: RagOptions = DEFAULT_OPTIONS,
        count_tokens: TokenCounter | None = None,
    ) -> None:
        self._index = index.index if isinstance(index, AsyncHybridIndex) else index
        self._async_index = index if isinstance(index, AsyncHybridIndex) else None
        self._chat = chat
        self._rewriter = rewriter
        self._index.arms(options.search)  # what cannot be searched so is found out now
        if options.evidence == "rerank" and reranker is None:
            raise InputError("evidence='rerank' without a reranker; give one, or use 'max_sim'")
        self._setting = Setting(
            Answerer(
                _answer_options(options), encoder=self._index.encoder, count_tokens=count_tokens
            ),
            rewrites=rewriter is not None,
            reranker=reranker,
            options=options,
        )

    @checked
    def answer(self, question: str, *, filter: Filter | Mapping[str, Any] | None = None) -> Answer:
        """Answer a question.

        Args:
            question: what is asked.
            filter: as in :meth:`trivec.HybridIndex.search`.

        Raises:
            InputError: the question is blank, or there is no chat model that can be called so.
            ModelError: a model failed.
            StoreError: the search failed.
        """
        return _whole(list(self._stream(question, filter, streamed=False)))

    @checked
    def stream(
        self, question: str, *, filter: Filter | Mapping[str, Any] | None = None
    ) -> Generator[AnswerPiece | Answer, None, None]:
        """Yield an answer piece by piece, then the whole :class:`Answer`.

        The pieces together are the answer's text. A refusal is one piece, and the model's own
        word for one is never shown. Closing the iterator closes the model's stream.

        Raises:
            AnswerInterruptedError: the model failed after the pieces that were yielded.
        """
        return self._stream(question, filter, streamed=True)

    @checked
    async def aanswer(
        self, question: str, *, filter: Filter | Mapping[str, Any] | None = None
    ) -> Answer:
        """Answer a question; see :meth:`answer`."""
        async with aclosing(self._astream(question, filter, streamed=False)) as events:
            return _whole([event async for event in events])

    @checked
    def astream(
        self, question: str, *, filter: Filter | Mapping[str, Any] | None = None
    ) -> AsyncGenerator[AnswerPiece | Answer, None]:
        """Yield an answer piece by piece, then the whole; see :meth:`stream`."""
        return self._astream(question, filter, streamed=True)

    @checked
    def find(self, question: str, *, filter: Filter | Mapping[str, Any] | None = None) -> Found:
        """Find what a question would be answered from, and weigh it; no answer is asked for.

        This is what thresholds are calibrated on, and all that :func:`best_sentences` needs.
        """
        return drive(find_steps(self._setting, _asked(question), filter), self._performer(None))

    @checked
    async def afind(
        self, question: str, *, filter: Filter | Mapping[str, Any] | None = None
    ) -> Found:
        """Find what a question would be answered from; see :meth:`find`."""
        steps = find_steps(self._setting, _asked(question), filter)
        return await adrive(steps, self._aperformer(None))

    def _stream(
        self, question: str, filter: Filter | Mapping[str, Any] | None, *, streamed: bool
    ) -> Generator[AnswerPiece | Answer, None, None]:
        watch = AnswerWatch(question)
        with watch.telling():
            steps = answer_steps(self._setting, _asked(question), filter)
            return self._run(steps, self._talk(streamed=streamed), watch)

    def _astream(
        self, question: str, filter: Filter | Mapping[str, Any] | None, *, streamed: bool
    ) -> AsyncGenerator[AnswerPiece | Answer, None]:
        watch = AnswerWatch(question)
        with watch.telling():
            steps = answer_steps(self._setting, _asked(question), filter)
            return self._arun(steps, self._atalk(streamed=streamed), watch)

    def _run(
        self, steps: RagSteps, talk: Conversation, watch: AnswerWatch
    ) -> Generator[AnswerPiece | Answer, None, None]:
        """Carry out the steps in this thread; yield what the user is to see, then the result."""
        shown = stream(steps, self._performer(talk, watch.around), AnswerPiece)
        with watch.telling(), closing(talk), closing(shown) as events:
            for event in events:
                _tell(watch, event)
                yield event

    async def _arun(
        self, steps: RagSteps, talk: Talk, watch: AnswerWatch
    ) -> AsyncGenerator[AnswerPiece | Answer, None]:
        """Carry out the steps on the event loop; what keeps a processor busy, in threads."""
        events = astream(steps, self._aperformer(talk, watch.around), AnswerPiece)
        with watch.telling():
            async with aclosing(talk), aclosing(events):
                async for event in events:
                    _tell(watch, event)
                    yield event

    def _performer(
        self, talk: Conversation | None, around: Around = nullcontext
    ) -> Callable[[RagStep], Any]:
        """Return what carries out one step in this thread; searches take place in ``around``."""

        def perform(step: RagStep) -> Any:
            match step:
                case Search(query, k, filter, options):
                    with around():
                        return self._index.search(query, k, filter=filter, options=options)
                case RewriteQuestion(question) if self._rewriter is not None:
                    with around():
                        return self._rewriter.rewrite(question)
                case Compute(function):
                    return function()
                case Ask(messages) if talk is not None:
                    return talk.ask(messages)
                case NextReply() if talk is not None:
                    return talk.next()
            raise AssertionError(step)

        return perform

    def _aperformer(
        self, talk: Talk | None, around: Around = nullcontext
    ) -> Callable[[RagStep], Awaitable[Any]]:
        """Return what carries out one step on the event loop."""

        async def perform(step: RagStep) -> Any:
            match step:
                case Search(query, k, filter, options):
                    with around():
                        return await self._asearch(query, k, filter=filter, options=options)
                case RewriteQuestion(question) if self._rewriter is not None:
                    with around():
                        return await self._rewriter.arewrite(question)
                case Compute(function):
                    return await asyncio.to_thread(function)
                case Ask(messages) if talk is not None:
                    return await talk.ask(messages)
                case NextReply() if talk is not None:
                    return await talk.next()
            raise AssertionError(step)

        return perform

    async def _asearch(self, *arguments: Any, **options: Any) -> list[Hit]:
        if self._async_index is not None:
            return await self._async_index.search(*arguments, **options)
        return await asyncio.to_thread(self._index.search, *arguments, **options)

    def _talk(self, *, streamed: bool) -> Conversation:
        if not isinstance(self._chat, ChatModel):
            raise InputError(
                f"chat={self._chat!r} cannot be called without awaiting; "
                "give a ChatModel, or use aanswer and astream"
            )
        return Conversation(self._chat, streamed=streamed)

    def _atalk(self, *, streamed: bool) -> Talk:
        if isinstance(self._chat, AsyncChatModel):
            return AsyncConversation(self._chat, streamed=streamed)
        return InThread(self._talk(streamed=streamed))


def _answer_options(options: RagOptions) -> AnswerOptions:
    """Return what the turn holds to; a threshold on the reranker's score is none of the judge's."""
    return replace(options, min_evidence=None) if options.evidence == "rerank" else options


def _asked(question: str) -> str:
    if not question.strip():
        raise InputError("the question is blank; give it at least one word")
    return question


def _tell(watch: AnswerWatch, event: AnswerPiece | Answer) -> None:
    """Tell of the answer as soon as it is whole; the reader may not ask for more."""
    if isinstance(event, Answer):
        watch.answered(
            stages=event.timings,
            answer=event.text,
            passages=len(event.passages),
            ids=tuple(passage.hit.id for passage in event.passages),
            citations=event.citations,
            refused=event.refused,
            reason=event.reason,
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
        )


def _whole(events: Sequence[AnswerPiece | Answer]) -> Answer:
    last = events[-1]
    assert isinstance(last, Answer)  # noqa: S101  # the drivers end with the result
    return last
