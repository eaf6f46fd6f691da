"""The pipeline: one body for sync, async and streamed answers; refusals, failures, endings."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import replace

import pytest

from trivec import (
    Answer,
    AnswerPiece,
    AsyncHybridIndex,
    Chunk,
    HybridIndex,
    IndexConfig,
    RagOptions,
    RagPipeline,
)
from trivec.chat.prompts import NO_EVIDENCE, REFUSALS
from trivec.errors import AnswerInterruptedError, InputError, ModelError, ModelUnavailableError
from trivec.rerankers import MaxSimReranker, RankingOptions
from trivec.rewriting.rewriters import KeywordRewriter
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS, ChatReply

TEXTS = {
    "tea": "Green tea is a warm drink from China. It is made of leaves.",
    "cat": "The cat sleeps on the sofa all day.",
    "zh": "绿茶是一种饮料。它来自中国。",
}
REPLY = "Green tea is a warm drink from China [1]. Cheese tastes quite salty [1][9]."


class Chat:
    """A chat model that says one thing, whole or word by word, and remembers what it was asked."""

    def __init__(self, reply: str = REPLY, *, fails_after: int | None = None) -> None:
        self.reply = reply
        self.fails_after = fails_after
        self.asked: list[Sequence[dict[str, str]]] = []
        self.closed = 0

    def pieces(self) -> Iterator[ChatReply]:
        words = self.reply.split(" ")
        for number, word in enumerate(words):
            if number == self.fails_after:
                raise ModelUnavailableError("the server went away")
            yield ChatReply(word if number == len(words) - 1 else f"{word} ")
        yield ChatReply("", input_tokens=40, output_tokens=len(words))

    def chat(self, messages, *, schema=None) -> ChatReply:  # noqa: ARG002
        self.asked.append(messages)
        if self.fails_after is not None:
            raise ModelUnavailableError("the server went away")
        return ChatReply(self.reply, 40, len(self.reply.split(" ")))

    def stream(self, messages) -> Iterator[ChatReply]:
        self.asked.append(messages)
        try:
            yield from self.pieces()
        finally:
            self.closed += 1


class AsyncChat:
    """The same, awaited."""

    def __init__(self, *arguments, **options) -> None:
        self.inner = Chat(*arguments, **options)

    async def achat(self, messages, *, schema=None) -> ChatReply:
        await asyncio.sleep(0)
        return self.inner.chat(messages, schema=schema)

    async def astream(self, messages):
        self.inner.asked.append(messages)
        try:
            for piece in self.inner.pieces():
                await asyncio.sleep(0)
                yield piece
        finally:
            self.inner.closed += 1


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def index(encoder) -> HybridIndex:
    index = HybridIndex.open(MemoryStore(), encoder)
    index.add(Chunk(text, id=name, metadata={"name": name}) for name, text in TEXTS.items())
    return index


QUESTION = "what is green tea?"
JUDGING = RagOptions(min_support=0.6)


def comparable(answer: Answer) -> Answer:
    assert all(seconds >= 0 for seconds in answer.timings.values())
    return replace(answer, timings=dict.fromkeys(answer.timings, 0.0))


def text_of(pieces: Sequence[AnswerPiece]) -> str:
    assert all(isinstance(piece, AnswerPiece) for piece in pieces)
    return "".join(piece.text for piece in pieces)


async def collect(events, seen: list[str]) -> None:
    async for event in events:
        seen.append(event.text)  # noqa: PERF401  # what came before an error is kept


async def every_way(index, chat, async_chat, question=QUESTION, **settings) -> list[Answer]:
    """Answer in all six ways; what is streamed must add up to the answer's text."""
    answers = []
    rag = RagPipeline(index, chat, **settings)
    *pieces, last = rag.stream(question)
    assert text_of(pieces) == last.text
    answers += [rag.answer(question), last]
    for pipeline in (rag, RagPipeline(AsyncHybridIndex(index), async_chat, **settings)):
        *pieces, last = [event async for event in pipeline.astream(question)]
        assert text_of(pieces) == last.text
        answers += [await pipeline.aanswer(question), last]
    return answers


async def test_every_way_gives_the_same_answer(index):
    ways = await every_way(index, Chat(), AsyncChat(), options=JUDGING)
    first, *others = map(comparable, ways)
    assert all(other == first for other in others)
    assert first.text == REPLY
    assert (first.citations, first.unknown) == ((1,), (9,))
    assert (first.refused, first.reason) == (False, None)
    assert [passage.hit.id for passage in first.cited] == ["tea"]
    assert [(claim.citations, claim.supported) for claim in first.claims] == [
        ((1,), True),
        ((1,), False),
    ]
    assert first.claims[0].support > 0.9 > first.claims[1].support
    assert (first.input_tokens, first.output_tokens) == (40, len(REPLY.split(" ")))
    assert first.context_tokens > 0
    assert set(first.timings) == {"search", "pack", "model", "check"}


async def test_without_hits_no_way_asks_the_model(encoder):
    index = HybridIndex.open(MemoryStore(), encoder)
    chat, async_chat = Chat(), AsyncChat()
    for answer in await every_way(index, chat, async_chat, "什么是绿茶？"):
        assert (answer.refused, answer.reason, answer.text) == (True, "no_hits", REFUSALS["zh"])
        assert answer.passages == ()
    assert chat.asked == async_chat.inner.asked == []


async def test_weak_evidence_is_refused_before_the_model_is_asked(index):
    chat, async_chat = Chat(), AsyncChat()
    options = RagOptions(min_evidence=0.5)
    for answer in await every_way(
        index, chat, async_chat, "quantum chromodynamics?", options=options
    ):
        assert (answer.refused, answer.reason) == (True, "weak_evidence")
        assert answer.evidence.score < 0.5 == answer.evidence.threshold
        assert answer.evidence.is_weak
        assert answer.passages  # what it would have been given
        assert "model" not in answer.timings
    assert chat.asked == async_chat.inner.asked == []
    kept = RagPipeline(index, chat, options=options).answer("green tea is a warm drink")
    assert not kept.refused
    assert kept.evidence.score >= 0.5
    assert not kept.evidence.is_weak


async def test_the_models_own_refusal_is_never_shown(index):
    for answer in await every_way(index, Chat(NO_EVIDENCE), AsyncChat(NO_EVIDENCE)):
        assert (answer.refused, answer.reason) == (True, "model_refused")
        assert answer.text == REFUSALS["en"]
        assert (answer.claims, answer.citations) == ((), ())


@pytest.mark.parametrize("reply", ["It is a drink.", "Cheese tastes quite salty [1].", "Tea [7]."])
async def test_an_unsupported_answer_is_marked_or_refused_as_asked(index, reply):
    for answer in await every_way(index, Chat(reply), AsyncChat(reply), options=JUDGING):
        assert (answer.text, answer.refused, answer.reason) == (reply, False, "unsupported")
    strict = replace(JUDGING, refuse_unsupported=True)
    for answer in await every_way(index, Chat(reply), AsyncChat(reply), options=strict):
        assert (answer.text, answer.refused, answer.reason) == (
            REFUSALS["en"],
            True,
            "unsupported",
        )
        assert [claim.sentence for claim in answer.claims] == [reply]  # reported, not hidden
    for answer in await every_way(index, Chat(), AsyncChat(), options=strict):
        assert (answer.text, answer.refused) == (REPLY, False)


async def test_no_passage_is_encoded_twice_for_one_answer():
    read: Counter[str] = Counter()

    class Reading(FakeEncoder):
        def encode_documents(self, texts, *, heads=ALL_HEADS):
            read.update(texts)
            return super().encode_documents(texts, heads=heads)

    index = HybridIndex.open(MemoryStore(), Reading())
    index.add(Chunk(text) for text in TEXTS.values())
    options = RagOptions(min_evidence=0.0, min_support=0.6)
    read.clear()
    answers = await every_way(index, Chat(), AsyncChat(), options=options)
    assert [read[text] for text in TEXTS.values()] == [len(answers)] * len(TEXTS)


def test_what_nobody_judged_is_not_held_against_the_answer(index):
    answer = RagPipeline(index, Chat()).answer(QUESTION)
    assert [claim.supported for claim in answer.claims] == [None, None]
    assert all(claim.support is not None for claim in answer.claims)
    assert answer.reason is None
    unmeasured = RagPipeline(index, Chat(), options=RagOptions(min_support=None))
    assert [claim.support for claim in unmeasured.answer(QUESTION).claims] == [None, None]


def test_a_reply_is_streamed_as_it_comes(index):
    chat = Chat()
    events = RagPipeline(index, chat).stream(QUESTION)
    assert [next(events).text for _ in range(3)] == ["Green ", "tea ", "is "]
    assert chat.closed == 0
    events.close()
    assert chat.closed == 1


async def test_closing_an_async_stream_closes_the_models(index):
    async_chat = AsyncChat()
    async with aclosing(RagPipeline(index, async_chat).astream(QUESTION)) as events:
        assert (await anext(events)).text == "Green "
    assert async_chat.inner.closed == 1
    chat = Chat()
    async with aclosing(RagPipeline(index, chat).astream(QUESTION)) as events:
        assert (await anext(events)).text == "Green "
    assert chat.closed == 1


def test_an_interrupt_closes_the_stream(index):
    class Interrupted(Chat):
        def pieces(self):
            yield ChatReply("Green ")
            raise KeyboardInterrupt

    chat = Interrupted()
    events = RagPipeline(index, chat).stream(QUESTION)
    next(events)
    with pytest.raises(KeyboardInterrupt):
        next(events)
    assert chat.closed == 1


async def test_a_cancelled_task_leaves_no_stream_open(index):
    class Slow(Chat):
        waiting, released, ended = threading.Event(), threading.Event(), threading.Event()

        def pieces(self):
            try:
                yield ChatReply("Green ")
                self.waiting.set()
                self.released.wait(60)
                yield ChatReply("tea")
            finally:
                self.ended.set()

    chat = Slow()

    async def consume() -> None:
        async for _ in RagPipeline(index, chat).astream(QUESTION):
            pass

    task = asyncio.create_task(consume())
    assert await asyncio.to_thread(chat.waiting.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not chat.ended.is_set()  # a thread still waits for the model
    chat.released.set()
    assert await asyncio.to_thread(chat.ended.wait, 60)


async def test_a_model_that_fails_midway_keeps_what_it_said(index):
    rag = RagPipeline(index, Chat(fails_after=2))
    seen = []
    with pytest.raises(AnswerInterruptedError, match="10 characters") as failure:
        seen.extend(event.text for event in rag.stream(QUESTION))
    assert failure.value.partial == "Green tea "
    assert isinstance(failure.value.__cause__, ModelUnavailableError)
    asynchronous = RagPipeline(index, AsyncChat(fails_after=2))
    with pytest.raises(AnswerInterruptedError) as failure:
        await collect(asynchronous.astream(QUESTION), seen)
    assert seen == ["Green ", "tea "] * 2
    assert failure.value.partial == "Green tea "


async def test_a_model_that_fails_at_once_fails_with_its_own_error(index):
    with pytest.raises(ModelUnavailableError, match="went away"):
        list(RagPipeline(index, Chat(fails_after=0)).stream(QUESTION))
    with pytest.raises(ModelUnavailableError):
        await RagPipeline(index, AsyncChat(fails_after=0)).aanswer(QUESTION)

    class Broken(Chat):
        def chat(self, messages, *, schema=None):  # noqa: ARG002
            raise RuntimeError("sk-secret")

    with pytest.raises(ModelError, match="the chat model failed: RuntimeError") as failure:
        RagPipeline(index, Broken()).answer(QUESTION)
    assert "sk-secret" not in str(failure.value)


class FailingReranker:
    def score(self, query, passages):  # noqa: ARG002
        raise ModelError("out of memory")


async def test_a_reranker_that_fails_is_named(index):
    with pytest.raises(ModelError, match="out of memory"):
        RagPipeline(index, Chat(), reranker=FailingReranker()).answer(QUESTION)
    options = RagOptions(rerank_error="keep")
    settings = {"reranker": FailingReranker(), "options": options}
    for answer in await every_way(index, Chat(), AsyncChat(), **settings):
        assert answer.notes == ("reranking failed: ModelError",)
        assert not answer.refused
        assert [passage.rerank_score for passage in answer.passages] == [None] * 3


class Backwards:
    """A reranker that likes least what was found first."""

    def score(self, _query, passages):
        return [float(place) for place in range(len(passages))]


def test_the_search_counts_beside_the_reranker_where_asked(index):
    found = [hit.id for hit in index.search(QUESTION, 3)]

    def order(weight):
        options = RagOptions(
            max_passages=3,
            rerank_candidates=3,
            min_evidence=None,
            ranking=RankingOptions(retrieval_weight=weight),
        )
        pipeline = RagPipeline(index, None, reranker=Backwards(), options=options)
        return [hit.id for hit in pipeline.find(QUESTION).hits]

    assert order(0.0) == found[::-1]
    assert order(100.0) == found


async def test_a_reranker_orders_the_passages_and_may_be_the_evidence(index, encoder):
    reranker = MaxSimReranker(encoder)
    options = RagOptions(evidence="rerank", min_evidence=0.3, max_passages=2)
    settings = {"reranker": reranker, "options": options}
    for answer in await every_way(index, Chat(), AsyncChat(), **settings):
        scores = [passage.rerank_score for passage in answer.passages]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 2
        assert answer.evidence.score == scores[0]
        assert "rerank" in answer.timings
    weak = replace(options, min_evidence=0.99)
    answer = RagPipeline(index, Chat(), reranker=reranker, options=weak).answer(QUESTION)
    assert answer.reason == "weak_evidence"
    none_left = replace(options, ranking=RankingOptions(threshold=0.99))
    answer = RagPipeline(index, Chat(), reranker=reranker, options=none_left).answer(QUESTION)
    assert (answer.reason, answer.passages) == ("weak_evidence", ())


async def test_a_rewriter_is_heard_and_the_question_stays(index):
    class Words(Chat):
        def chat(self, messages, *, schema=None):  # noqa: ARG002
            return ChatReply('["sofa"]')

    rewriter = KeywordRewriter(Words())
    ways = await every_way(index, Chat(), AsyncChat(), rewriter=rewriter)
    for answer in ways:
        assert answer.rewrite.keywords == ("sofa",)
        assert "rewrite" in answer.timings
        assert answer.passages[0].hit.id in {"tea", "cat"}
        assert answer.question == QUESTION


def test_a_failed_rewriter_is_noted(index):
    rewriter = KeywordRewriter(Chat(fails_after=0), on_error="question")
    answer = RagPipeline(index, Chat(), rewriter=rewriter).answer(QUESTION)
    assert answer.notes == ("rewriting failed: ModelUnavailableError",)


def test_filters_confine_the_search(index):
    rag = RagPipeline(index, Chat())
    answer = rag.answer(QUESTION, filter={"name": "cat"})
    assert [passage.hit.id for passage in answer.passages] == ["cat"]
    assert rag.answer(QUESTION, filter={"name": "dog"}).reason == "no_hits"
    assert [hit.id for hit in rag.find(QUESTION, filter={"name": "cat"}).hits] == ["cat"]


def test_the_budget_of_tokens_is_kept(index):
    options = RagOptions(max_context_tokens=40)
    answer = RagPipeline(index, Chat(), options=options, count_tokens=len).answer(QUESTION)
    assert answer.context_tokens <= 40
    roomy = RagOptions(max_context_tokens=1000, max_passages=2)
    answer = RagPipeline(index, Chat(), options=roomy, count_tokens=len).answer(QUESTION)
    assert len(answer.passages) == 2
    assert answer.context_tokens == sum(
        len(f'<passage number="{p.number}">\n{p.text}\n</passage>') for p in answer.passages
    )


async def test_finding_asks_no_chat(index):
    rag = RagPipeline(index, None, options=RagOptions(min_evidence=0.5))
    found = rag.find(QUESTION)
    assert found == await rag.afind(QUESTION)
    assert found.hits[0].id == "tea"
    assert found.evidence.score > 0
    with pytest.raises(InputError, match="chat=None"):
        rag.answer(QUESTION)


@pytest.mark.parametrize("question", ["", " \n"])
async def test_a_blank_question_fails_before_anything_is_done(index, question):
    rag = RagPipeline(index, Chat())
    for ask in (rag.answer, rag.stream, rag.astream, rag.find):
        with pytest.raises(InputError, match="blank"):
            ask(question)
    with pytest.raises(InputError, match="blank"):
        await rag.aanswer(question)


def test_a_chat_that_can_only_be_awaited_says_so(index):
    with pytest.raises(InputError, match="aanswer"):
        RagPipeline(index, AsyncChat()).answer(QUESTION)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_passages": 0}, "max_passages=0"),
        ({"max_context_tokens": 0}, "max_context_tokens=0"),
        ({"min_evidence": "best"}, "min_evidence='best'"),
        ({"language": "fr"}, "language='fr'"),
        ({"rerank_candidates": 0}, "rerank_candidates=0"),
        ({"evidence": "fused"}, "evidence='fused'"),
        ({"rerank_error": "hide"}, "rerank_error='hide'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        RagOptions(**options)


def test_what_cannot_be_measured_is_refused_at_once(index, encoder):
    with pytest.raises(InputError, match="without a reranker"):
        RagPipeline(index, Chat(), options=RagOptions(evidence="rerank"))

    class DenseOnly(FakeEncoder):
        @property
        def info(self):
            return replace(super().info, heads=("dense", "sparse"), colbert_dim=None)

    plain = HybridIndex.open(
        MemoryStore(), DenseOnly(), config=IndexConfig(arms=("dense", "sparse", "bm25"))
    )
    with pytest.raises(InputError, match="ColBERT head"):
        RagPipeline(plain, Chat(), options=RagOptions(min_evidence=0.5))
    plain.add([Chunk(TEXTS["tea"])])
    answer = RagPipeline(plain, Chat()).answer(QUESTION)
    assert answer.citations == (1,)
    assert [claim.support for claim in answer.claims] == [None, None]


def test_one_pipeline_serves_many_threads(index):
    rag = RagPipeline(index, Chat(), options=JUDGING)
    expected = comparable(rag.answer(QUESTION))
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(comparable(rag.answer(QUESTION))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8


def test_what_was_judged_is_not_encoded_again(encoder):
    counting = FakeEncoder()
    index = HybridIndex.open(MemoryStore(), counting)
    index.add([Chunk(TEXTS["tea"])])
    rag = RagPipeline(index, Chat("Green tea [1]."), options=RagOptions(min_evidence=0.1))
    rag.find(QUESTION)  # encodes the background
    before = counting.calls
    with closing(rag.stream(QUESTION)) as events:
        list(events)
    # the search, the question as evidence, its passage, then the one sentence of the answer
    assert counting.calls - before == 4
