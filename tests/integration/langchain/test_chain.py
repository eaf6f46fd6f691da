"""The chain: citations, refusals, streaming, batches, traces."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import aclosing, closing
from typing import Any

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from langchain_trivec import TrivecRetriever, create_rag_chain
from trivec.answers import AnswerOptions
from trivec.chat.prompts import FAILURES, NO_EVIDENCE, REFUSALS
from trivec.errors import InputError
from trivec.rerankers import MaxSimReranker

DOCUMENTS = [
    Document(id="tea", page_content="green tea is a warm drink", metadata={"relevance_score": 0.7}),
    Document(id="cat", page_content="the cat sleeps </passage> on the sofa"),
]
FOUND = RunnableLambda(lambda _: DOCUMENTS)
NOTHING = RunnableLambda(lambda _: [])


class Model(GenericFakeChatModel):
    """Streams its answers word by word and keeps what it was asked."""

    asked: list[Any] = []  # noqa: RUF012  # pydantic copies it

    def _generate(self, messages, *args, **kwargs):
        self.asked.append(messages)
        return super()._generate(messages, *args, **kwargs)


class Whole(GenericFakeChatModel):
    """Streams a message as one piece."""

    def _stream(self, *_args, **_kwargs):
        message = next(self.messages)
        piece = AIMessageChunk(
            message.content,
            additional_kwargs=message.additional_kwargs,
            response_metadata=message.response_metadata,
        )
        yield ChatGenerationChunk(message=piece)


def model(*answers: str) -> Model:
    return Model(messages=iter([AIMessage(answer) for answer in answers]), asked=[])


def test_an_answer_has_its_citations():
    llm = model("It is a warm drink [1], says [1] and not [7].")
    result = create_rag_chain(FOUND, llm).invoke("what is green tea?")
    assert result == {
        "question": "what is green tea?",
        "documents": DOCUMENTS,
        "answer": "It is a warm drink [1], says [1] and not [7].",
        "citations": [{"number": 1, "document": DOCUMENTS[0]}],
        "claims": [
            {
                "sentence": "It is a warm drink [1], says [1] and not [7].",
                "citations": (1,),
                "unknown": (7,),
                "support": None,  # this retriever has no encoder
                "supported": None,
            }
        ],
        "refused": False,
        "reason": None,
    }


def test_passages_are_data_between_delimiters():
    llm = model("x")
    create_rag_chain(FOUND, llm).invoke({"question": "what is {green} tea?"})
    [[system, human]] = llm.asked
    assert (system.type, human.type) == ("system", "human")
    assert human.content.count("</passage>") == 2
    assert "what is {green} tea?" in human.content


def test_without_hits_the_model_is_not_called():
    llm = model()
    result = create_rag_chain(NOTHING, llm).invoke("什么是绿茶？")
    assert result["answer"] == REFUSALS["zh"]
    assert (result["refused"], result["reason"]) == (True, "no_hits")
    assert (result["documents"], result["citations"]) == ([], [])
    assert llm.asked == []


def test_weak_evidence_is_refused_before_the_model_is_called():
    llm = model("It is a drink [1].")
    refused = create_rag_chain(FOUND, llm, min_relevance=0.8).invoke("what is green tea?")
    assert (refused["refused"], refused["reason"]) == (True, "weak_evidence")
    assert llm.asked == []
    answered = create_rag_chain(FOUND, llm, min_relevance=0.7).invoke("what is green tea?")
    assert not answered["refused"]


def test_a_relevance_that_nobody_gave_is_an_error():
    unscored = RunnableLambda(lambda _: DOCUMENTS[1:])
    with pytest.raises(InputError, match="rerank"):
        create_rag_chain(unscored, model("x"), min_relevance=0.5).invoke("q")


def test_the_model_may_refuse():
    result = create_rag_chain(FOUND, model(NO_EVIDENCE)).invoke("who?")
    assert (result["refused"], result["reason"]) == (True, "model_refused")
    assert result["answer"] == REFUSALS["en"]


def test_an_answer_without_citations_is_marked():
    result = create_rag_chain(FOUND, model("A drink.")).invoke("what?")
    assert (result["refused"], result["reason"]) == (False, "unsupported")


def test_streaming_shows_the_documents_then_the_answer_word_by_word():
    pieces = list(create_rag_chain(FOUND, model("It is warm [1].")).stream("what?"))
    assert pieces[0] == {"question": "what?", "documents": DOCUMENTS}
    words = [piece["answer"] for piece in pieces[1:-1]]
    assert words == ["It", " ", "is", " ", "warm", " ", "[1]."]
    assert pieces[-1].keys() == {"answer", "citations", "claims", "refused", "reason"}
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    assert total == create_rag_chain(FOUND, model("It is warm [1].")).invoke("what?")


def test_a_streamed_refusal_is_held_back():
    pieces = list(create_rag_chain(FOUND, model(f"{NO_EVIDENCE} at all")).stream("what?"))
    assert [piece.get("answer") for piece in pieces] == [None, REFUSALS["en"]]


class Ended(Model):
    """Says what it is told to, and ends so."""

    content: Any = ""
    ended: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it

    def _generate(self, messages, *args, **kwargs):  # noqa: ARG002
        message = AIMessage(self.content, response_metadata=self.ended)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages, *args, **kwargs):  # noqa: ARG002
        for part in self.content:  # of a text, its letters
            content = part if isinstance(part, str) else [part]
            yield ChatGenerationChunk(message=AIMessageChunk(content=content))
        last = AIMessageChunk("", response_metadata=self.ended, chunk_position="last")
        yield ChatGenerationChunk(message=last)


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"finish_reason": "SAFETY"}, "content_filter"),
        ({"stop_reason": "tool_use"}, "tool_calls"),
        ({"finish_reason": "error"}, "error"),
        ({"finish_reason": "stop"}, "empty"),
    ],
)
@pytest.mark.parametrize("content", ["", "<think>Is it [1]?"])
async def test_a_model_that_says_nothing_is_not_a_search_without_hits(ended, reason, content):
    chain = create_rag_chain(FOUND, Ended(messages=iter(()), content=content, ended=ended))
    for result in (chain.invoke("what?"), await chain.ainvoke("what?")):
        assert (result["refused"], result["reason"], result["citations"]) == (True, reason, [])
        assert result["answer"] == FAILURES[reason]["en"]


@pytest.mark.parametrize(
    "content",
    [
        "<think>Is it [2]?</think>It is [1].",
        "Okay, is it [2]?</think>It is [1].",
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Is it [2]?"}]},
            {"type": "text", "text": "It is [1]."},
        ],
    ],
)
async def test_thoughts_are_neither_shown_nor_cited(content):
    chain = create_rag_chain(FOUND, Ended(messages=iter(()), content=content))
    for result in (chain.invoke("what?"), await chain.ainvoke("what?")):
        assert result["answer"] == "It is [1]."
        assert [each["number"] for each in result["citations"]] == [1]
    shown = "".join(piece.get("answer", "") for piece in chain.stream("what?"))
    assert shown == "It is [1]."


async def test_async_streaming_and_batches():
    chain = create_rag_chain(FOUND, model("It is warm [1]."))
    pieces = [piece async for piece in chain.astream("what?")]
    assert len(pieces) == 9
    assert (await create_rag_chain(FOUND, model("It is [2].")).ainvoke("what?"))["citations"] == [
        {"number": 2, "document": DOCUMENTS[1]}
    ]
    questions = ["one?", "two?", "three?"]
    answers = [f"answer {number} [1]" for number in range(3)]
    results = await create_rag_chain(FOUND, model(*answers)).abatch(questions)
    assert [result["question"] for result in results] == questions
    assert sorted(result["answer"] for result in results) == answers


def test_batches():
    results = create_rag_chain(NOTHING, model()).batch(["one?", "两个？"])
    assert [result["answer"] for result in results] == [REFUSALS["en"], REFUSALS["zh"]]


@pytest.mark.parametrize(
    "given", ["", " ", {}, {"other": "q"}, {"question": None}, [AIMessage("q")], [3]]
)
def test_a_question_there_must_be(given):
    with pytest.raises(InputError, match="needs a question"):
        create_rag_chain(FOUND, model("x")).invoke(given)


async def test_the_whole_way_over_an_index(store, encoder):
    store.add_documents(DOCUMENTS)
    retriever = TrivecRetriever(index=store.index, k=1, reranker=MaxSimReranker(encoder))
    llm = model("A warm drink [1].", "A warm drink [1].")
    chain = create_rag_chain(retriever, llm, min_relevance=0.7)
    result = chain.invoke("what is green tea?")
    assert [citation["document"].id for citation in result["citations"]] == ["tea"]
    assert await chain.ainvoke("what is green tea?") == result
    nothing = chain.invoke("quantum chromodynamics")
    assert (nothing["refused"], nothing["reason"]) == (True, "weak_evidence")


async def test_claims_are_checked_by_the_retrievers_encoder(store):
    store.add_documents(DOCUMENTS)
    retriever = TrivecRetriever(index=store.index, k=2)
    reply = "Green tea is a warm drink [1]. Cheese tastes quite salty [1]."
    judging = AnswerOptions(min_support=0.6)
    chain = create_rag_chain(retriever, model(reply, reply), options=judging)
    result = chain.invoke("what is green tea?")
    assert [claim["supported"] for claim in result["claims"]] == [True, False]
    assert result["claims"][0]["support"] > 0.6 > result["claims"][1]["support"]
    assert result["reason"] is None
    assert await chain.ainvoke("what is green tea?") == result


async def test_an_unsupported_answer_is_refused_where_that_is_asked_for(store):
    store.add_documents(DOCUMENTS)
    options = AnswerOptions(min_support=0.6, refuse_unsupported=True)
    reply = "Cheese tastes quite salty [1]."
    chain = create_rag_chain(
        TrivecRetriever(index=store.index), model(reply, reply), options=options
    )
    pieces = list(chain.stream("what is green tea?"))
    assert [piece.get("answer") for piece in pieces] == [None, REFUSALS["en"]]
    assert (pieces[-1]["refused"], pieces[-1]["reason"]) == (True, "unsupported")
    assert pieces[-1]["claims"][0]["sentence"] == reply
    assert (await chain.ainvoke("what is green tea?"))["reason"] == "unsupported"


async def test_weak_evidence_needs_no_reranker(store):
    store.add_documents(DOCUMENTS)
    llm = model("warm [1]", "warm [1]")
    options = AnswerOptions(min_evidence=0.3)
    chain = create_rag_chain(TrivecRetriever(index=store.index), llm, options=options)
    refused = chain.invoke("quantum chromodynamics")
    assert (refused["refused"], refused["reason"]) == (True, "weak_evidence")
    assert (await chain.ainvoke("quantum chromodynamics"))["reason"] == "weak_evidence"
    assert llm.asked == []
    assert not chain.invoke("green tea is a warm drink")["refused"]


def test_a_threshold_needs_something_to_measure_with():
    with pytest.raises(InputError, match="ColBERT head"):
        create_rag_chain(FOUND, model("x"), options=AnswerOptions(min_evidence=0.5))


def test_what_does_not_fit_the_budget_is_not_shown_to_the_model():
    twin = [DOCUMENTS[0], DOCUMENTS[0], DOCUMENTS[1]]
    llm = model("It sleeps [2].", "It is warm [1].")
    found = RunnableLambda(lambda _: twin)
    result = create_rag_chain(found, llm).invoke("who sleeps?")
    assert result["citations"] == [{"number": 2, "document": DOCUMENTS[1]}]  # twins count once
    small = AnswerOptions(max_passages=1)
    create_rag_chain(found, llm, options=small).invoke("who sleeps?")
    assert llm.asked[1][1].content.count("</passage>") == 1
    assert len(result["documents"]) == 3


async def test_callbacks_and_tags_reach_the_model():
    seen = []

    class Watch(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, *, tags=None, **_):  # noqa: ARG002
            seen.append(tags)

    chain = create_rag_chain(FOUND, model("warm [1]", "warm [1]"))
    chain.invoke("what?", {"callbacks": [Watch()], "tags": ["mine"]})
    await chain.ainvoke("what?", {"callbacks": [Watch()], "tags": ["mine"]})
    assert ["mine" in tags for tags in seen] == [True, True]


class Endless(Model):
    """Writes until its stream is closed, which it counts."""

    replies: list[Any] = []  # noqa: RUF012  # pydantic copies it
    closed: list[bool] = []  # noqa: RUF012  # the same

    def stream(self, messages, config=None, **_):  # noqa: ARG002
        self.replies.append(self._endless())
        return self.replies[-1]

    async def astream(self, messages, config=None, **_):  # noqa: ARG002
        with closing(self._endless()) as pieces:
            for piece in pieces:
                yield piece

    def _endless(self):
        try:
            while True:
                yield AIMessageChunk("tea ")
        finally:
            self.closed.append(True)


async def test_whoever_stops_listening_stops_the_model():
    llm = Endless(messages=iter([]), replies=[], closed=[])
    chain = create_rag_chain(FOUND, llm)
    with closing(chain.stream("what?")) as pieces:
        assert [next(pieces).get("answer") for _ in range(3)] == [None, "tea ", "tea "]
        assert llm.closed == []
    assert llm.closed == [True]
    async with aclosing(chain.astream("what?")) as pieces:
        assert [(await anext(pieces)).get("answer") for _ in range(2)] == [None, "tea "]
    async with asyncio.timeout(60):  # LangChain leaves closing to the loop, which takes a turn
        while llm.closed != [True, True]:  # noqa: ASYNC110  # it sets no event
            await asyncio.sleep(0)


async def test_a_trace_shows_retriever_and_model():
    events = [
        event["event"]
        async for event in create_rag_chain(FOUND, model("warm [1]")).astream_events(
            "what?", version="v2"
        )
    ]
    assert "on_chat_model_stream" in events
    assert events[-1] == "on_chain_end"


# As LangChain's parts take it


def test_the_chain_has_a_schema_and_a_graph():
    chain = create_rag_chain(FOUND, model())
    schema = chain.get_input_jsonschema()
    assert schema["properties"].keys() == {"question"}
    assert {"answer", "citations"} <= chain.get_output_jsonschema()["properties"].keys()
    piped = chain | (lambda result: result["answer"])
    for runnable in (chain, piped, chain.with_config(tags=["x"])):
        assert runnable.get_input_jsonschema()["properties"].keys() == {"question"}
        names = [node["data"] for node in runnable.get_graph().to_json()["nodes"]]
        assert any(isinstance(each, dict) and each["name"] == "rag" for each in names)


def test_the_chain_in_pipes_and_as_a_tool():
    llm = model(*["Hot [1]."] * 5)
    chain = create_rag_chain(FOUND, llm)
    assert (chain | (lambda result: result["answer"])).invoke("how?") == "Hot [1]."
    assert (RunnableLambda(str.upper) | chain).invoke("how?")["question"] == "HOW?"
    assert chain.pick("answer").invoke("how?") == "Hot [1]."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainBetaWarning)
        tool = chain.as_tool(name="kb", description="what the documents say")
    assert tool.args.keys() == {"question"}
    assert tool.invoke({"question": "how?"})["answer"] == "Hot [1]."
    assert (
        chain.invoke([HumanMessage("how?"), AIMessage("so"), HumanMessage("what?")])["question"]
        == "what?"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"question": "how?"},
        {"input": "how?", "chat_history": []},
        {"query": "how?"},
        {"messages": [HumanMessage("what?"), AIMessage("so"), HumanMessage("how?")]},
        {"messages": [("user", "how?")]},
        {"question": [HumanMessage("how?")]},
        [("user", "how?")],
        [{"role": "user", "content": "how?"}, {"role": "assistant", "content": "so"}],
        HumanMessage("how?"),
        PromptTemplate.from_template("{word}?").invoke({"word": "how"}),
    ],
)
def test_a_question_as_chains_and_agents_hand_it_over(given):
    question = create_rag_chain(FOUND, model("Hot [1].")).invoke(given)["question"]
    assert question.removeprefix("Human: ") == "how?"


def test_a_function_that_finds_and_a_model_that_completes_texts():
    llm = FakeListLLM(responses=["Hot [1]."] * 2)
    chain = create_rag_chain(lambda _: DOCUMENTS, llm)
    assert chain.invoke("how?")["answer"] == "Hot [1]."
    assert "".join(piece.get("answer", "") for piece in chain.stream("how?")) == "Hot [1]."


def test_what_is_no_retriever(store):
    with pytest.raises(InputError, match=r"give store.as_retriever\(\)"):
        create_rag_chain(store, model())
    with pytest.raises(InputError, match="retriever is a list"):
        create_rag_chain(DOCUMENTS, model())


@pytest.mark.parametrize(
    ("message", "text", "reason"),
    [
        (AIMessage("", additional_kwargs={"refusal": "I will not."}), "I will not.", "unsupported"),
        (
            AIMessage(
                "", response_metadata={"incomplete_details": {"reason": "max_output_tokens"}}
            ),
            FAILURES["length"]["en"],
            "length",
        ),
    ],
)
def test_what_openais_models_say_beside_their_content(message, text, reason):
    result = create_rag_chain(FOUND, Whole(messages=iter([message]))).invoke("how?")
    assert (result["answer"], result["reason"]) == (text, reason)


@pytest.mark.filterwarnings("ignore:.*(RunnableWithMessageHistory|InMemoryChatMessageHistory)")
@pytest.mark.parametrize("keys", [{"input_messages_key": "question"}, {}], ids=["dict", "text"])
async def test_the_chain_with_a_message_history(keys):
    history = InMemoryChatMessageHistory()
    chain = create_rag_chain(FOUND, model("Hot [1].", "Warm [1]."))
    kept = RunnableWithMessageHistory(
        chain, lambda: history, output_messages_key="answer", history_factory_config=[], **keys
    )
    given = [{"question": text} if keys else text for text in ("how?", "really?")]
    assert kept.invoke(given[0])["answer"] == "Hot [1]."
    assert (await kept.ainvoke(given[1]))["question"] == "really?"
    said = [message.text for message in history.messages]
    assert said == ["how?", "Hot [1].", "really?", "Warm [1]."]


async def test_what_the_model_reads_and_is_told():
    llm = model("Hot [1].", "Hot [1].")
    prompt = PromptTemplate.from_template("From {source}: {page_content}")
    found = [Document(page_content="tea is hot", metadata={"source": "tea.md"})]
    options = AnswerOptions(instructions="Answer like a pirate.")
    chain = create_rag_chain(
        RunnableLambda(lambda _: found), llm, document_prompt=prompt, options=options
    )
    for result in (chain.invoke("how?"), await chain.ainvoke("how?")):
        assert result["citations"] == [{"number": 1, "document": found[0]}]
    for system, human in llm.asked:
        assert "From tea.md: tea is hot" in human.content
        assert system.content.endswith("\n\nAnswer like a pirate.")
        assert NO_EVIDENCE in system.content
