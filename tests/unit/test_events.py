"""One event for each search and answer, whichever way it was asked for, and whatever listens."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, closing

import pytest

from trivec import (
    AsyncHybridIndex,
    Chunk,
    HybridIndex,
    IndexConfig,
    QueryText,
    QuestionIndex,
    RagOptions,
    RagPipeline,
    SearchOptions,
)
from trivec.answers import Answerer
from trivec.errors import InputError, ModelError, TrivecError
from trivec.evaluation import explain_passage
from trivec.events import AnswerEvent, SearchEvent, Spans, listen
from trivec.rewriting import CorpusVocabulary, FeedbackRewriter
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ChatReply

TEXTS = {
    "tea": "Green tea is a warm drink.",
    "cat": "The cat sleeps all day.",
    "zh": "绿茶是饮料。",
}
ALL = IndexConfig(arms=("dense", "sparse", "bm25"))


class Chat:
    def __init__(self, reply="Green tea is a warm drink [1].", error=None):
        self.reply, self.error = reply, error

    def chat(self, _messages, *, schema=None):  # noqa: ARG002
        if self.error is not None:
            raise self.error
        return ChatReply(self.reply, 40, 7)

    def stream(self, messages):
        yield self.chat(messages)


@pytest.fixture
def index():
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=ALL) as opened:
        opened.add([Chunk(text, id=key) for key, text in TEXTS.items()])
        yield opened


@pytest.fixture
def events():
    heard = []
    with listen(heard.append):
        yield heard


def test_a_search_tells_of_itself_once(index, events):
    hits = index.search("green tea", k=2, arms=["dense", "bm25"], explain=True)
    (event,) = events
    assert isinstance(event, SearchEvent)
    assert event.ids == (tuple(hit.id for hit in hits),)
    assert event.scores == (tuple(hit.score for hit in hits),)
    assert (event.k, event.queries, event.hits, event.fusion) == (2, 1, 2, "adaptive")
    assert event.arms == ("dense", "bm25")
    assert set(event.stages) == {"words", "encode", "store", "explain"}
    assert 0 < sum(event.stages.values()) <= event.seconds
    assert (event.error, event.answer, event.texts) == (None, None, ())
    assert event.index == repr(index.store)


async def test_and_so_it_does_on_a_loop(index, events):
    hits = await AsyncHybridIndex(index).search("green tea", k=2)
    (event,) = events
    assert event.ids == (tuple(hit.id for hit in hits),)


def test_a_batch_is_one(index, events):
    index.search_batch(["green tea", [QueryText("cat"), QueryText("day")]], k=1)
    (event,) = events
    assert (event.queries, event.hits, len(event.ids)) == (2, 2, 2)


def test_a_search_through_questions_is_one(index, events):
    with QuestionIndex.open(index) as questions:
        events.clear()
        questions.add_feedback("what is warm?", "tea", "good")
        hits = questions.search("what is warm?", k=1)
    (event,) = [one for one in events if one.error is None]
    assert event.ids == (tuple(hit.id for hit in hits),)


def test_an_explanation_is_no_search(index, events):
    explain_passage(index, "green tea", "cat")
    assert events == []


def test_texts_are_told_only_where_they_are_asked_for(index):
    plain, whole = [], []
    with listen(plain.append), listen(whole.append, text=True):
        index.search([QueryText("green tea"), QueryText("drink")])
        RagPipeline(index, Chat()).answer("what is warm?")
    assert [event.texts for event in whole[:1]] == [("green tea",)]
    assert "tea" not in repr([one.texts for one in plain[:2]])
    answer = whole[-1]
    assert (answer.question, answer.answer) == ("what is warm?", "Green tea is a warm drink [1].")
    assert answer.searches[0].texts == ("what is warm?",)
    assert (plain[-1].question, plain[-1].answer, plain[-1].searches[0].texts) == ("", "", ())


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda index: index.search("  "), InputError),
        (lambda index: index.search("tea", arms=["colbert"]), InputError),
        (lambda index: index.search("tea", filter={"a": {"b": 1}}), TrivecError),
        (lambda index: index.search("tea", k=-1), InputError),
    ],
)
def test_errors_are_told_by_their_class(index, events, ask, error):
    with pytest.raises(error) as raised:
        ask(index)
    (event,) = events
    assert event.error == type(raised.value).__name__
    assert event.ids == ()


async def test_a_search_that_is_cancelled_says_so(index, events):
    class Slow(FakeEncoder):
        def encode_queries(self, texts, **options):
            started.set()
            return super().encode_queries(texts, **options)

    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    started.set = lambda: loop.call_soon_threadsafe(task.cancel)
    task = asyncio.ensure_future(AsyncHybridIndex(index.with_encoder(Slow())).search("green tea"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event.error for event in events] == ["GeneratorExit"]


def answered(events):
    """Return the one event of an answer, and those of its searches."""
    (answer,) = [event for event in events if isinstance(event, AnswerEvent)]
    searches = [event for event in events if isinstance(event, SearchEvent)]
    assert list(answer.searches) == searches
    assert {search.answer for search in searches} <= {answer.id}
    return answer, searches


def test_an_answer_tells_of_its_stages_and_its_search(index, events):
    answer = RagPipeline(index, Chat()).answer("what is warm?")
    event, searches = answered(events)
    assert len(searches) == 1
    assert event.stages == answer.timings
    assert {"search", "pack", "model", "check"} <= set(event.stages)
    assert event.ids == tuple(passage.hit.id for passage in answer.passages)
    assert (event.passages, event.citations) == (len(answer.passages), (1,))
    assert (event.input_tokens, event.output_tokens, event.refused) == (40, 7, False)
    assert event.seconds > searches[0].seconds > 0


async def test_so_does_one_on_a_loop_and_one_by_pieces(index, events):
    rag = RagPipeline(AsyncHybridIndex(index), Chat())
    await rag.aanswer("what is warm?")
    assert len(answered(events)[1]) == 1
    events.clear()
    async with aclosing(rag.astream("what is warm?")) as pieces:
        async for _ in pieces:
            pass
    assert answered(events)[0].citations == (1,)
    events.clear()
    list(RagPipeline(index, Chat()).stream("what is warm?"))
    assert answered(events)[0].citations == (1,)


def test_the_searches_of_a_rewriter_belong_to_the_answer(index, events):
    rewriter = FeedbackRewriter(CorpusVocabulary(index))
    RagPipeline(index, Chat(), rewriter=rewriter).answer("what is warm xylophone?")
    assert len(answered(events)[1]) == 2


def test_refusals_and_failures_are_told(index, events):
    options = RagOptions(min_evidence=None)
    RagPipeline(index, Chat("NO_EVIDENCE"), options=options).answer("what is warm?")
    event, _ = answered(events)
    assert (event.refused, event.reason, event.error) == (True, "model_refused", None)
    events.clear()
    with pytest.raises(ModelError):
        RagPipeline(index, Chat(error=ValueError("no"))).answer("what is warm?")
    event, searches = answered(events)
    assert (event.error, len(searches)) == ("ModelError", 1)
    events.clear()
    with pytest.raises(InputError):
        RagPipeline(index, Chat()).answer(" ")
    assert answered(events)[0].error == "InputError"


def test_a_reader_that_goes_away_is_told(index, events):
    with closing(RagPipeline(index, Chat()).stream("what is warm?")) as pieces:
        next(pieces)
    assert answered(events)[0].error == "GeneratorExit"


async def test_a_turn_of_an_adapter_is_an_answer(events):
    def ask(_messages):
        return [ChatReply("Tea [1].", 4, 2)]

    async def aask(_messages):
        async def pieces():
            for piece in ask(_messages):
                yield piece

        return pieces()

    turn = Answerer().begin("what is warm?", list(TEXTS.values()))
    list(turn.read(ask))
    event, _ = answered(events)
    assert (event.citations, event.passages, event.output_tokens) == ((1,), 3, 2)
    events.clear()
    turn = await Answerer().abegin("what is warm?", list(TEXTS.values()))
    async with aclosing(await turn.aread(aask)) as pieces:
        async for _ in pieces:
            pass
    assert answered(events)[0].citations == (1,)
    events.clear()
    with pytest.raises(ZeroDivisionError):
        Answerer().begin("what is warm?", ["Tea."]).read(lambda _: 1 / 0)
    assert answered(events)[0].error == "ZeroDivisionError"


def test_a_listener_that_raises_breaks_nothing_and_is_logged_once(index, caplog):
    heard = []

    def broken(event):
        heard.append(event)
        raise RuntimeError("secret tea")

    with listen(broken), caplog.at_level(logging.WARNING, "trivec"):
        assert index.search("green tea", k=1) == index.search("green tea", k=1)
        assert not RagPipeline(index, Chat()).answer("what is warm?").refused
    assert len(heard) == 4
    (record,) = [one for one in caplog.records if "listener" in one.getMessage()]
    assert "RuntimeError" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_a_closed_subscription_hears_nothing(index):
    heard = []
    subscription = listen(heard.append)
    index.search("tea")
    subscription.close()
    subscription.close()
    index.search("tea")
    assert len(heard) == 1


def test_a_listener_must_be_callable():
    with pytest.raises(InputError, match="listener"):
        listen("print")


@pytest.fixture
def exporter():
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    kept.provider = sdk.TracerProvider()
    kept.provider.add_span_processor(SimpleSpanProcessor(kept))
    return kept


def test_spans_have_the_names_of_the_conventions(index, exporter):
    with listen(Spans(exporter.provider)):
        index.search("green tea", k=2)
        RagPipeline(index, Chat()).answer("what is warm?")
        with pytest.raises(InputError):
            index.search(" ")
    by_name = {}
    for span in exporter.get_finished_spans():
        by_name.setdefault(span.name, []).append(span)
    first, within, failed = by_name["retrieval"]
    (answer,) = by_name["invoke_workflow"]
    assert first.attributes["gen_ai.operation.name"] == "retrieval"
    assert first.attributes["gen_ai.retrieval.top_k"] == 2
    assert first.attributes["gen_ai.data_source.id"] == repr(index.store)
    assert '"id": "tea"' in first.attributes["gen_ai.retrieval.documents"]
    assert within.parent.span_id == answer.context.span_id
    assert answer.start_time <= within.start_time <= within.end_time <= answer.end_time
    assert answer.attributes["gen_ai.usage.input_tokens"] == 40
    assert failed.attributes["error.type"] == "InputError"
    assert not failed.status.is_ok
    said = repr([dict(span.attributes) for span in exporter.get_finished_spans()])
    assert "green tea" not in said
    assert "warm" not in said


def test_spans_with_text_and_by_the_names_of_openinference(index, exporter):
    with listen(Spans(exporter.provider), text=True):
        RagPipeline(index, Chat()).answer("what is warm?")
    search, answer = exporter.get_finished_spans()
    assert search.attributes["gen_ai.retrieval.query.text"] == "what is warm?"
    assert "Green tea" in answer.attributes["gen_ai.output.messages"]
    exporter.clear()
    with listen(Spans(exporter.provider, convention="openinference"), text=True):
        RagPipeline(index, Chat()).answer("what is warm?")
    search, answer = exporter.get_finished_spans()
    assert search.attributes["openinference.span.kind"] == "RETRIEVER"
    assert search.attributes["retrieval.documents.0.document.id"] in TEXTS
    assert answer.attributes["openinference.span.kind"] == "CHAIN"
    assert answer.attributes["output.value"].startswith("Green tea")


def test_a_search_takes_its_place_below_the_current_span(index, exporter):
    with (
        listen(Spans(exporter.provider)),
        exporter.provider.get_tracer("mine").start_as_current_span("mine") as mine,
    ):
        index.search("tea", options=SearchOptions())
    search, _ = exporter.get_finished_spans()
    assert search.parent.span_id == mine.get_span_context().span_id


def test_spans_need_their_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"trivec\[telemetry\]|opentelemetry"):
        Spans()
    monkeypatch.undo()
    with pytest.raises(InputError, match="convention"):
        Spans(convention="datadog")
