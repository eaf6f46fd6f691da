"""One turn, whoever finds the passages and whoever writes: read in a thread or on an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import aclosing, closing
from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, RagPipeline
from trivec.answers import (
    AnswerEnd,
    Answerer,
    AnswerOptions,
    AnswerPiece,
    Evidence,
    Outcome,
    RagOptions,
)
from trivec.answers.background import BACKGROUND
from trivec.chat.prompts import NO_EVIDENCE, REFUSALS
from trivec.errors import InputError
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS, ChatReply

QUESTION = "what is green tea?"
TEXTS = ["Green tea is a warm drink from China.", "The cat sleeps on the sofa all day."]
REPLY = "Green tea is a warm drink from China [1]. Cheese tastes quite salty [1][9]."


class Model:
    """Says one thing word by word, and remembers what it was asked and how that ended."""

    def __init__(self, reply: str = REPLY, *, error: Exception | None = None) -> None:
        self.words = [word for word in reply.split(" ") if word]
        self.error = error
        self.asked: list[list[dict[str, str]]] = []
        self.closed = 0

    def stream(self, messages):
        self.asked.append(messages)
        self.reply = self._pieces()  # kept, so that nothing but closing ends it
        return self.reply

    def _pieces(self):
        try:
            for number, word in enumerate(self.words):
                yield ChatReply(word if number == 0 else f" {word}")
            if self.error is not None:
                raise self.error
            yield ChatReply("", input_tokens=40, output_tokens=len(self.words), truncated=True)
        finally:
            self.closed += 1


class AwaitedModel(Model):
    """The same on an event loop."""

    def astream(self, messages):
        self.asked.append(messages)
        self.areply = self._apieces()
        return self.areply

    async def begun(self, messages):
        await asyncio.sleep(0)
        return self.astream(messages)

    async def _apieces(self):
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece


class Thread:
    """Takes a turn in this thread."""

    def take(self, answerer, model, texts=TEXTS, evidence=None):
        turn = answerer.begin(QUESTION, texts, evidence)
        return turn, list(turn.read(model.stream))


class Loop:
    """Takes a turn on an event loop; ``ask`` names the method that begins the reply."""

    def __init__(self, ask: str) -> None:
        self._ask = ask

    def take(self, answerer, model, texts=TEXTS, evidence=None):
        async def take():
            turn = await answerer.abegin(QUESTION, texts, evidence)
            events = await turn.aread(getattr(model, self._ask))
            return turn, [event async for event in events]

        return asyncio.run(take())


@pytest.fixture(params=[Thread(), Loop("astream"), Loop("begun")], ids=["thread", "loop", "begun"])
def way(request):
    return request.param


def text_of(events) -> str:
    *pieces, end = events
    assert all(isinstance(piece, AnswerPiece) for piece in pieces)
    assert isinstance(end, AnswerEnd)
    return "".join(piece.text for piece in pieces) + end.text


def test_pieces_come_as_they_are_written_and_the_outcome_last(way):
    model = AwaitedModel()
    answerer = Answerer(AnswerOptions(min_support=0.6), encoder=FakeEncoder())
    turn, events = way.take(answerer, model)
    assert [event.text for event in events[:3]] == ["Green", " tea", " is"]
    assert text_of(events) == REPLY
    outcome = events[-1].outcome
    assert (outcome.answer, outcome.citations, outcome.unknown) == (REPLY, (1,), (9,))
    assert [claim.supported for claim in outcome.claims] == [True, False]
    assert (turn.input_tokens, turn.output_tokens, turn.truncated) == (40, len(model.words), True)
    assert set(turn.timings) == {"pack", "model", "check"}
    assert model.closed == 1
    [[system, user]] = model.asked
    assert (system["role"], user["role"]) == ("system", "user")


def test_a_refused_turn_asks_no_model(way):
    model = AwaitedModel()
    for texts, evidence, reason in (
        ([], None, "no_hits"),
        (["", " \n"], Evidence(0.9, 0.5), "no_hits"),
        (TEXTS, Evidence(0.49, 0.5), "weak_evidence"),
        (TEXTS, Evidence(float("nan"), 0.5), "weak_evidence"),
    ):
        turn, events = way.take(Answerer(), model, texts, evidence)
        assert turn.refused == Outcome(REFUSALS["en"], refused=True, reason=reason)
        assert events == [AnswerEnd(REFUSALS["en"], turn.refused)]
    assert model.asked == []


def test_the_evidence_of_a_reranker_takes_the_judges_place(way):
    strict = Answerer(AnswerOptions(min_evidence=0.99), encoder=FakeEncoder())
    cats = [TEXTS[1]]
    turn, _ = way.take(strict, AwaitedModel(), cats)
    assert turn.refused.reason == "weak_evidence"
    assert turn.evidence.score < 0.99 == turn.evidence.threshold
    turn, _ = way.take(strict, AwaitedModel(), cats, Evidence(0.5, 0.5))
    assert (turn.refused, turn.evidence) == (None, Evidence(0.5, 0.5))
    assert "evidence" not in turn.timings


class Reading(FakeEncoder):
    """Notes every passage that it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.read: Counter[str] = Counter()

    def encode_documents(self, texts, *, heads=ALL_HEADS):
        self.read.update(texts)
        return super().encode_documents(texts, heads=heads)


def test_what_is_judged_as_evidence_is_not_encoded_again_where_it_is_cited(way):
    encoder = Reading()
    answerer = Answerer(AnswerOptions(min_evidence=0.0, min_support=0.6), encoder=encoder)
    way.take(answerer, AwaitedModel())
    assert all(encoder.read[text] == 1 for text in TEXTS)
    way.take(answerer, AwaitedModel())
    # an answer's memory ends with it; what passages about nothing score is known for good
    assert all(encoder.read[text] == 2 for text in TEXTS)
    background = [text for passages in BACKGROUND.values() for text in passages]
    assert all(encoder.read[text] == 1 for text in background)


def test_the_models_word_for_a_refusal_is_never_shown(way):
    _, events = way.take(Answerer(), AwaitedModel(NO_EVIDENCE))
    assert [event.text for event in events] == [REFUSALS["en"]]
    assert events[-1].outcome.reason == "model_refused"


def test_what_must_be_checked_first_is_not_shown_before(way):
    strict = AnswerOptions(min_support=0.6, refuse_unsupported=True)
    answerer = Answerer(strict, encoder=FakeEncoder())
    _, events = way.take(answerer, AwaitedModel("Cheese tastes quite salty [1]."))
    assert [event.text for event in events] == [REFUSALS["en"]]
    assert events[-1].outcome.reason == "unsupported"
    _, events = way.take(answerer, AwaitedModel())
    assert [event.text for event in events] == [REPLY]


def test_a_models_error_is_its_own(way):
    class RateLimit(Exception):  # noqa: N818  # the name of a provider's
        pass

    model = AwaitedModel("Green tea", error=RateLimit())
    with pytest.raises(RateLimit):
        way.take(Answerer(), model)
    assert model.closed == 1


def test_citations_lead_to_the_sources_whatever_was_passed_over(way):
    sources = ["blank", "tea", "twin", "cat"]
    texts = ["", TEXTS[0], TEXTS[0], TEXTS[1]]
    turn, events = way.take(Answerer(), AwaitedModel("Both [2], [1]."), texts)
    assert turn.passages == TEXTS
    assert turn.cited(events[-1].outcome, sources) == [(2, "cat"), (1, "tea")]


def test_the_pipeline_takes_the_same_turn(way):
    encoder = FakeEncoder()
    index = HybridIndex.open(MemoryStore(), encoder)
    index.add(Chunk(text) for text in TEXTS)
    options = RagOptions(min_support=0.6)

    class Chat(Model):
        def chat(self, messages, *, schema=None):  # noqa: ARG002
            self.asked.append(messages)
            return ChatReply(REPLY)

    chat, model = Chat(), AwaitedModel()
    answer = RagPipeline(index, chat, options=options).answer(QUESTION)
    texts = [hit.chunk.text for hit in index.search(QUESTION)]
    turn, events = way.take(Answerer(options, encoder=encoder), model, texts)
    assert model.asked == chat.asked
    outcome = events[-1].outcome
    assert (answer.text, answer.citations, answer.claims, answer.reason) == (
        outcome.answer,
        outcome.citations,
        outcome.claims,
        outcome.reason,
    )
    assert answer.context_tokens == turn.draft.context_tokens


def test_the_model_is_asked_before_the_first_piece_is_wanted():
    model = Model()
    events = Answerer().begin(QUESTION, TEXTS).read(model.stream)
    assert len(model.asked) == 1
    events.close()


def test_closing_the_events_closes_the_models_stream():
    model = Model()
    with closing(Answerer().begin(QUESTION, TEXTS).read(model.stream)) as events:
        assert next(events) == AnswerPiece("Green")
        assert model.closed == 0
    assert model.closed == 1


async def test_closing_awaited_events_closes_the_models_stream():
    model = AwaitedModel()
    turn = await Answerer().abegin(QUESTION, TEXTS)
    async with aclosing(await turn.aread(model.astream)) as events:
        assert await anext(events) == AnswerPiece("Green")
    assert model.closed == 1


async def test_a_cancelled_turn_closes_the_models_stream():
    class Slow(AwaitedModel):
        async def _apieces(self):
            try:
                yield ChatReply("Green")
                await asyncio.Event().wait()
            finally:
                self.closed += 1

    model, seen = Slow(), asyncio.Event()

    async def take() -> None:
        turn = await Answerer().abegin(QUESTION, TEXTS)
        async for _ in await turn.aread(model.astream):
            seen.set()

    task = asyncio.create_task(take())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.closed == 1


async def test_an_event_loop_neither_packs_nor_judges():
    threads = []

    class Watched(FakeEncoder):
        def encode_documents(self, texts, *, heads=("dense",)):
            threads.append(threading.current_thread())
            return super().encode_documents(texts, heads=heads)

    def count(text: str) -> int:
        threads.append(threading.current_thread())
        return len(text)

    options = AnswerOptions(min_evidence=0.0, min_support=0.0)
    answerer = Answerer(options, encoder=Watched(), count_tokens=count)
    turn = await answerer.abegin(QUESTION, TEXTS)
    packed = len(threads)
    assert [event async for event in await turn.aread(AwaitedModel().astream)]
    assert 0 < packed < len(threads)
    assert threading.current_thread() not in threads


def test_options_are_checked_when_the_answerer_is_made():
    with pytest.raises(InputError, match="ColBERT head"):
        Answerer(AnswerOptions(min_support=0.5))
    with pytest.raises(InputError, match="blank"):
        Answerer().begin(" ", TEXTS)


def test_nothing_is_kept_between_turns():
    answerer = Answerer(AnswerOptions(max_passages=1))
    first, second = (answerer.begin(QUESTION, [text]) for text in TEXTS)
    [*_, one], [*_, two] = (
        list(turn.read(Model(reply).stream))
        for turn, reply in ((first, "A [1]."), (second, "B [1]."))
    )
    assert (one.outcome.answer, two.outcome.answer) == ("A [1].", "B [1].")
    assert replace(one.outcome, answer="", claims=()) == replace(two.outcome, answer="", claims=())
