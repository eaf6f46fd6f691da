"""OpenAIChat over the real ``openai`` client and real HTTP, whole and streamed, awaited or not."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import socket
import subprocess
import sys
import threading

import pytest

from trivec import InputError, ModelError
from trivec.chat import ChatOptions, OpenAIChat
from trivec.errors import MissingDependencyError, ModelUnavailableError
from trivec.protocols import AsyncChatModel, ChatModel
from trivec.types import ChatReply

pytest.importorskip("openai")

KEY = "sk-do-not-show-me-1234567890"
ASKED = [{"role": "user", "content": "the secret question"}]
SCHEMA = {
    "type": "object",
    "properties": {"keywords": {"type": "array", "items": {"type": "string"}}},
    "required": ["keywords"],
    "additionalProperties": False,
}
WAYS = ("chat", "achat", "stream", "astream")
WHOLE = ("chat", "achat")
STREAMED = ("stream", "astream")


class Secret:
    def get_secret_value(self) -> str:
        return KEY


@pytest.fixture
def connect(openai_server):
    """Build chats that talk to the server; their connections are closed in the end."""
    chats = []

    def connected(*, timeout=60.0, max_retries=0, base_url=openai_server.base_url, **options):
        chat = OpenAIChat.connect(
            "model-1",
            base_url=base_url,
            api_key=Secret(),
            timeout=timeout,
            max_retries=max_retries,
            options=ChatOptions(**options),
        )
        chats.append(chat)
        return chat

    yield connected
    for chat in chats:
        chat.close()


async def pieces_of(chat, way, **schema) -> list[ChatReply]:
    """Ask in one of four ways; return the whole reply, or the pieces of it."""
    try:
        if way == "chat":
            return [await asyncio.to_thread(chat.chat, ASKED, **schema)]
        if way == "achat":
            return [await chat.achat(ASKED, **schema)]
        if way == "stream":
            return await asyncio.to_thread(lambda: list(chat.stream(ASKED)))
        return [piece async for piece in chat.astream(ASKED)]
    finally:
        await chat.aclose()


def test_it_keeps_both_protocols(connect):
    assert isinstance(connect(), ChatModel)
    assert isinstance(connect(), AsyncChatModel)


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_with_its_token_counts(way, openai_server, connect):
    openai_server.answer("Grüße, 世界 and all")
    pieces = await pieces_of(connect(), way)
    assert "".join(piece.text for piece in pieces) == "Grüße, 世界 and all"
    assert (pieces[-1].input_tokens, pieces[-1].output_tokens) == (11, 7)
    assert not pieces[-1].truncated
    (asked,) = openai_server.requests
    assert asked.body["messages"] == ASKED
    assert asked.body["model"] == "model-1"
    assert asked.body["temperature"] == 0
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("way", STREAMED)
async def test_pieces_come_as_they_are_written(way, openai_server, connect):
    openai_server.answer("", pieces=["It has ", "", "three", " [2]."])
    texts = [piece.text for piece in await pieces_of(connect(), way)]
    assert texts == ["It has ", "three", " [2].", ""]
    assert openai_server.requests[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("way", STREAMED)
async def test_a_server_that_counts_no_tokens(way, openai_server, connect):
    openai_server.answer("yes", usage=None)
    pieces = await pieces_of(connect(stream_usage=False), way)
    assert pieces == [ChatReply("yes"), ChatReply("")]
    assert "stream_options" not in openai_server.requests[0].body


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_that_is_cut_off_says_so(way, openai_server, connect):
    openai_server.answer("a long", finish_reason="length")
    assert (await pieces_of(connect(max_tokens=2), way))[-1].truncated
    assert openai_server.requests[0].body["max_tokens"] == 2


def test_a_consumer_that_stops_early_frees_the_connection(openai_server, connect):
    chat = connect()
    for _ in range(3):
        openai_server.answer("b c d e")
        stream = chat.stream(ASKED)
        assert next(stream).text == "b"
        stream.close()
    openai_server.answer("still there")
    assert chat.chat(ASKED).text == "still there"


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "json_schema",
            {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
            },
        ),
        ("json_object", {"type": "json_object", "schema": SCHEMA}),
        ("none", None),
    ],
)
async def test_a_schema(way, form, expected, openai_server, connect):
    openai_server.answer('{"keywords": []}')
    await pieces_of(connect(schema_form=form), way, schema=SCHEMA)
    assert openai_server.requests[0].body.get("response_format") == expected


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_schema_falls_back_only_when_told_to(
    way, status, openai_server, connect, caplog
):
    openai_server.fail(status, message="response_format is not supported")
    with pytest.raises(ModelError, match=rf"status {status}\): response_format is not supp"):
        await pieces_of(connect(), way, schema=SCHEMA)
    assert len(openai_server.requests) == 1
    for _ in range(2):
        openai_server.fail(status)
    openai_server.answer("plain")
    with caplog.at_level(logging.WARNING, logger="trivec.chat.openai"):
        replies = await pieces_of(connect(schema_refused="ask_without"), way, schema=SCHEMA)
    assert replies[0].text == "plain"
    assert [record.message for record in caplog.records if record.name == "trivec.chat.openai"] == [
        "model-1 refuses a JSON schema; asking without one",
        "model-1 refuses a JSON object; asking without one",
    ]
    asked = [request.body.get("response_format") for request in openai_server.requests[1:]]
    assert [form and form["type"] for form in asked] == ["json_schema", "json_object", None]


def test_a_server_without_schemas_is_asked_once(openai_server, connect):
    chat = connect(schema_refused="ask_without")
    openai_server.fail(400, message="This response_format type is unavailable now")
    for _ in range(2):
        openai_server.answer("{}")
        chat.chat(ASKED, schema=SCHEMA)
    assert openai_server.requests[-1].body["response_format"] == {"type": "json_object"}
    assert len(openai_server.requests) == 3


async def test_what_is_no_refusal_of_the_schema_does_not_fall_back(openai_server, connect):
    chat = connect(schema_refused="ask_without")
    openai_server.fail(401)
    with pytest.raises(ModelError, match="status 401"):
        chat.chat(ASKED, schema=SCHEMA)
    openai_server.fail(400)
    with pytest.raises(ModelError, match="status 400"):
        chat.chat(ASKED)
    assert len(openai_server.requests) == 2


STATUS_ERRORS = {
    400: (ModelError, r"'model-1' refuses the request \(status 400\): too long"),
    401: (ModelError, "refuses the API key .* check api_key"),
    403: (ModelError, "refuses the model 'model-1' to this API key.*: too long"),
    404: (ModelError, "knows no model 'model-1'.*: too long"),
    429: (ModelUnavailableError, "too many requests"),
    500: (ModelUnavailableError, r"failed \(status 500\)"),
    503: (ModelUnavailableError, r"failed \(status 503\)"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", STATUS_ERRORS)
async def test_errors_by_status(way, status, openai_server, connect):
    kind, message = STATUS_ERRORS[status]
    openai_server.fail(status, message=f"too long {KEY}")
    with pytest.raises(ModelError, match=message) as caught:
        await pieces_of(connect(), way)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("way", WAYS)
async def test_the_client_tries_again_as_told(way, openai_server, connect):
    openai_server.fail(429, headers={"Retry-After": "0.02"})
    openai_server.fail(500, headers={"Retry-After": "0.02"})
    openai_server.answer("at last")
    pieces = await pieces_of(connect(max_retries=2), way)
    assert "".join(piece.text for piece in pieces) == "at last"
    assert len(openai_server.requests) == 3


@pytest.mark.parametrize("way", WAYS)
async def test_a_limit_that_lasts(way, openai_server, connect):
    for _ in range(3):
        openai_server.fail(429, headers={"Retry-After": "0.01"})
    with pytest.raises(ModelUnavailableError, match="429"):
        await pieces_of(connect(max_retries=2), way)
    assert len(openai_server.requests) == 3


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_says_nothing(way, openai_server, connect):
    openai_server.hang()
    with pytest.raises(ModelUnavailableError, match="did not answer in time; raise the timeout"):
        await pieces_of(connect(timeout=0.2), way)


@pytest.mark.parametrize("way", STREAMED)
async def test_a_stream_that_falls_silent(way, openai_server, connect):
    openai_server.hang(after=["It has "])
    with pytest.raises(ModelUnavailableError, match="did not answer in time"):
        await pieces_of(connect(timeout=0.2), way)


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("politely", [True, False])
async def test_a_stream_that_breaks_off(way, politely, openai_server, connect):
    openai_server.break_off(["It has ", "three"], politely=politely)
    with pytest.raises(ModelUnavailableError, match="broke off"):
        await pieces_of(connect(), way)


def test_what_came_before_a_break_is_not_held_back(openai_server, connect):
    openai_server.break_off(["It has ", "three"])
    stream = connect().stream(ASKED)
    assert [next(stream).text, next(stream).text] == ["It has ", "three"]
    with pytest.raises(ModelUnavailableError, match="broke off"):
        next(stream)


@pytest.mark.parametrize("way", STREAMED)
async def test_an_error_in_the_stream(way, openai_server, connect):
    openai_server.fail_midway(["It has "], message="out of memory")
    with pytest.raises(ModelUnavailableError, match="in the middle of its answer"):
        await pieces_of(connect(), way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ('{"choices": [{"mess', "application/json"),
        ("<html>a login page</html>", "text/html"),
        ("{}", "application/json"),
        ('{"choices": []}', "application/json"),
        ("data: {not json\n\n", "text/event-stream"),
        ("", "text/event-stream"),
    ],
)
async def test_an_answer_that_is_none(way, content, content_type, openai_server, connect):
    openai_server.answer_raw(content, content_type)
    with pytest.raises(ModelError, match=r"base_url|broke off"):
        await pieces_of(connect(), way)


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_listens(way, connect):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ModelUnavailableError, match="cannot be reached"):
        await pieces_of(connect(base_url=f"http://127.0.0.1:{port}/v1"), way)


def test_many_threads_share_one_chat(openai_server, connect):
    openai_server.otherwise = lambda body: body["messages"][0]["content"].upper()
    chat = connect()
    answers = {}

    def ask(name):
        answers[name] = chat.chat([{"role": "user", "content": name}]).text

    threads = [threading.Thread(target=ask, args=(f"q{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"q{number}": f"Q{number}" for number in range(8)}


def test_the_key_is_nowhere_to_be_seen(openai_server, connect, caplog):
    openai_server.answer("yes")
    chat = connect()
    with caplog.at_level(logging.DEBUG, logger="trivec"):
        chat.chat(ASKED)
    assert KEY not in repr(chat)
    assert KEY not in repr(vars(chat))
    assert KEY not in chat.identity
    assert KEY not in caplog.text
    assert "secret question" not in caplog.text


def test_equal_chats_have_one_identity(openai_server):
    import openai

    with openai.OpenAI(base_url=openai_server.base_url, api_key="k") as client:
        given = OpenAIChat(client, model="m")
        other = OpenAIChat(client, model="m", options=ChatOptions(temperature=1.0))
        assert given.identity != other.identity
        assert given.identity.startswith(openai_server.base_url)


def test_a_client_that_was_given(openai_server):
    import openai

    openai_server.answer("yes")
    with openai.OpenAI(base_url=openai_server.base_url, api_key="k", max_retries=0) as client:
        chat = OpenAIChat(client, model="m")
        assert chat.chat(ASKED).text == "yes"
        with pytest.raises(InputError, match="achat and astream need async_client"):
            asyncio.run(chat.achat(ASKED))


def test_no_key_is_said_at_the_first_call(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chat = OpenAIChat.connect("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        chat.chat(ASKED)


def test_without_the_client_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"trivec\[openai\]"):
        OpenAIChat.connect("m", api_key="k").chat(ASKED)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OpenAIChat(model="m"), "give client or async_client"),
        (lambda: OpenAIChat.connect(" "), "model is blank"),
        (lambda: ChatOptions(schema_form="xml"), "schema_form='xml'"),
        (lambda: ChatOptions(schema_refused="ignore"), "schema_refused='ignore'"),
        (lambda: ChatOptions(max_tokens=0), "max_tokens=0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_importing_and_connecting_load_no_client():
    program = (
        "import sys; from trivec.chat.openai import OpenAIChat; "
        "OpenAIChat.connect('m', api_key='k'); "
        "print([name for name in ('openai', 'httpx', 'httpx2') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


REFUSALS_OF_PARAMETERS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model. Only the "
    "default (1) value is supported.",
    "seed": "Unknown field: seed",
    "stream_options": "Extra inputs are not permitted: stream_options",
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_reasoning_model_of_openai(way, openai_server, connect, caplog):
    """GPT-5 and the o-series refuse these one after the other; each is left out for good."""
    refused = [name for name in REFUSALS_OF_PARAMETERS if "stream" in way or name[:6] != "stream"]
    for name in refused:
        openai_server.answer_json(
            {"error": {"message": REFUSALS_OF_PARAMETERS[name], "param": name, "code": None}}, 400
        )
    openai_server.answer("yes")
    chat = connect(max_tokens=9, seed=1)
    with caplog.at_level(logging.WARNING, logger="trivec"):
        pieces = await pieces_of(chat, way)
    assert "".join(piece.text for piece in pieces) == "yes"
    body = openai_server.requests[-1].body
    assert not {"temperature", "max_tokens", "seed", "stream_options"} & set(body)
    assert body["max_completion_tokens"] == 9
    assert len([each for each in caplog.records if each.name.startswith("trivec")]) == len(refused)
    if way == "chat":
        openai_server.answer("again")
        assert chat.chat(ASKED).text == "again"
        assert len(openai_server.requests) == len(refused) + 2


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("`temperature` may only be set to 1 when thinking is enabled.", "temperature"),
        ("`temperature` and `top_p` cannot both be specified for this model.", "temperature"),
        ("invalid temperature: only 1 is allowed for this model", "temperature"),
        ("Input validation error: `temperature` must be strictly positive", "temperature"),
        ("temperature 参数非法。请检查文档", "temperature"),
        ("seed is not a supported parameter", "seed"),
        ("extraneous key [seed] is not permitted", "seed"),
        ("invalid option provided: seed", "seed"),
        ("サポートされていないパラメータです: seed", "seed"),
        ("temperature: range: 0..1", None),
        ("Range of max_tokens should be [1, 4]", None),
    ],
)
def test_how_vendors_refuse_a_parameter(message, name, openai_server, connect):
    openai_server.answer_json({"Message": message}, 400)
    openai_server.answer("yes")
    chat = connect(max_tokens=9, seed=1)
    if name is None:
        with pytest.raises(ModelError, match=re.escape(message)):
            chat.chat(ASKED)
    else:
        assert chat.chat(ASKED).text == "yes"
        assert name not in openai_server.requests[-1].body


def test_an_account_with_nothing_left_is_told_so(openai_server, connect):
    openai_server.fail(429, message="You exceeded your current quota")
    with pytest.raises(ModelUnavailableError, match=r"has nothing left.*raise its quota"):
        connect().chat(ASKED)


def test_parameters_are_not_left_out_where_that_is_not_wanted(openai_server, connect):
    openai_server.fail(400, message=REFUSALS_OF_PARAMETERS["temperature"])
    with pytest.raises(ModelError, match="temperature"):
        connect(parameters_refused="raise").chat(ASKED)
    openai_server.fail(400, message="max_tokens is too large: 9")
    with pytest.raises(ModelError, match="too large"):
        connect(max_tokens=9).chat(ASKED)
    assert len(openai_server.requests) == 2


@pytest.mark.parametrize("way", WHOLE)
async def test_a_refused_schema_names_the_remedy(way, openai_server, connect):
    openai_server.fail(400, message="This response_format type is unavailable now")
    with pytest.raises(ModelError, match=r"unavailable now; .* schema_refused=ask_without"):
        await pieces_of(connect(), way, schema=SCHEMA)


HARMONY = (
    "<|channel|>analysis<|message|>Is it [2]?<|end|><|start|>assistant<|channel|>final<|message|>"
)
REPLIES_WITH_THOUGHTS = [
    "<think>Is it [2]?</think>\n\nIt is [1].",
    "<thinking>Is it [2]?</thinking>It is [1].",
    "<reasoning>Is it [2]?</reasoning> It is [1].",
    "Okay, is it [2]?\n</think>\n\nIt is [1].",
    "[THINK]Is it [2]?[/THINK]It is [1].",
    HARMONY + "It is [1].<|return|>",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reply", REPLIES_WITH_THOUGHTS)
@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_thoughts_are_no_part_of_what_is_said(way, reply, size, openai_server, connect):
    pieces = [reply[at : at + size] for at in range(0, len(reply), size)]
    openai_server.answer(reply, pieces=pieces)
    assert "".join(piece.text for piece in await pieces_of(connect(), way)) == "It is [1]."


@pytest.mark.parametrize("way", WAYS)
async def test_thoughts_in_fields_of_their_own(way, openai_server, connect):
    message = {"role": "assistant", "reasoning_content": "Is it [2]?", "content": "First, it is."}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    if way in WHOLE:
        openai_server.answer_json(whole)
    else:
        deltas = [{"reasoning_content": "Is it?"}, {"content": "First,"}, {"content": " it is."}]
        events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        openai_server.answer_events([*events, "[DONE]"])
    pieces = await pieces_of(connect(), way)
    assert "".join(piece.text for piece in pieces) == "First, it is."
    assert way in WHOLE or len(pieces) == 3  # nothing was held back


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "content",
    [
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Is it [2]?"}]},
            {"type": "text", "text": "It is [1]."},
        ],
        [{"type": "text", "text": "It "}, {"type": "tool_use", "name": "f"}, "is [1]."],
    ],
)
async def test_content_in_blocks(way, content, openai_server, connect):
    if way in WHOLE:
        openai_server.answer(content)
    else:
        parts = [{"choices": [{"index": 0, "delta": {"content": [part]}}]} for part in content]
        openai_server.answer_events([*parts, "[DONE]"])
    assert "".join(piece.text for piece in await pieces_of(connect(), way)) == "It is [1]."


def test_a_model_that_thinks_without_an_opening_tag_is_remembered(openai_server, connect):
    chat = connect()
    for _ in range(2):
        openai_server.answer("", pieces=["Baobab has [2]", " more?", "</think>", "It is", " so."])
        texts = [piece.text for piece in chat.stream(ASKED)]
    assert texts == ["It is", " so.", ""]
    openai_server.answer("", pieces=["Baobab has [2]", " more?", "</think>", "It is so."])
    told = connect(thinks_first=True)
    assert [piece.text for piece in told.stream(ASKED)] == ["It is so.", ""]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("error", "error"),
        ("model_context_window_exceeded", "length"),
        ("ERROR_LIMIT", "length"),
        ("IMAGE_SAFETY", "content_filter"),
        ("content_filter: PROHIBITED", "content_filter"),
        ("abort", "error"),
        ("time_limit", "error"),
        ("eos_token", None),
        ("stop", None),
        ("eos", None),
    ],
)
async def test_what_ended_a_reply(way, reason, ended, openai_server, connect):
    openai_server.answer("", finish_reason=reason, pieces=[])
    last = (await pieces_of(connect(), way))[-1]
    assert (last.text, last.truncated) == ("", ended == "length")
    assert last.ended == (None if ended == "length" else ended)


@pytest.mark.parametrize("way", STREAMED)
async def test_chunks_without_delta_or_choices(way, openai_server, connect):
    """Azure tells of its filters in such; others count tokens in them."""
    openai_server.answer_events(
        [
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            {"id": "x"},
            {"choices": None},
            {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
            {"choices": [{"index": 0, "delta": {"content": "yes"}}]},
            {"choices": [{"index": 0, "content_filter_results": {}}]},
            {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
            "[DONE]",
        ]
    )
    assert await pieces_of(connect(), way) == [ChatReply("yes"), ChatReply("")]


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize(
    "events",
    [
        [  # other answers, where several were asked for
            {"choices": [{"index": 0, "delta": {"content": "It is."}}]},
            {"choices": [{"index": 1, "delta": {"content": "It is not."}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ],
        [  # the whole message once more at the end
            {"choices": [{"index": 0, "delta": {"content": "It is."}}]},
            {"choices": [{"message": {"content": "It is."}, "finish_reason": "stop"}]},
        ],
        [  # as completions have it
            {"choices": [{"index": 0, "text": "It is."}]},
            {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},
        ],
    ],
)
async def test_one_answer_is_read_once(way, events, openai_server, connect):
    openai_server.answer_events([*events, "[DONE]"])
    pieces = await pieces_of(connect(), way)
    assert "".join(piece.text for piece in pieces) == "It is."


@pytest.mark.parametrize("way", STREAMED)
async def test_an_error_of_vllm_in_the_stream(way, openai_server, connect):
    openai_server.answer_events(
        [
            {"choices": [{"index": 0, "delta": {"content": "It"}}]},
            {"object": "error", "message": "the engine died", "code": 500},
        ]
    )
    with pytest.raises(ModelUnavailableError, match="the engine died"):
        await pieces_of(connect(), way)


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_of_a_tool_that_ends_with_stop(way, openai_server, connect):
    call = {"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    if way in STREAMED:
        events = [{"choices": [{"index": 0, "delta": message}]}]
        events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        openai_server.answer_events([*events, "[DONE]"])
    else:
        openai_server.answer_json({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (await pieces_of(connect(), way))[-1].ended == "tool_calls"


@pytest.mark.parametrize("way", STREAMED)
async def test_a_stream_that_is_done_without_a_reason(way, openai_server, connect):
    openai_server.answer_events(
        [{"choices": [{"index": 0, "delta": {"content": "yes"}}]}, "[DONE]"]
    )
    assert await pieces_of(connect(), way) == [ChatReply("yes"), ChatReply("")]
    openai_server.answer_events([{"choices": [{"index": 0, "delta": {"content": "data: [DONE]"}}]}])
    with pytest.raises(ModelUnavailableError, match="broke off"):
        await pieces_of(connect(), way)


@pytest.mark.parametrize("way", STREAMED)
async def test_a_server_that_does_not_stream(way, openai_server, connect):
    message = {"role": "assistant", "content": "yes"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    openai_server.answer_json({"choices": [{"message": message}], "usage": usage})
    assert await pieces_of(connect(), way) == [ChatReply("yes"), ChatReply("", 1, 2)]


ERRORS_IN_BODIES = [
    ({"error": {"message": "no money left", "code": 1113}}, ModelError, "1113"),
    ({"error": {"message": "no money left", "code": 429}}, ModelUnavailableError, "429"),
    ({"error": {"message": "no money left", "code": "insufficient"}}, ModelError, "insufficient"),
    ({"object": "error", "message": "no money left", "code": 400}, ModelError, "400"),
    ({"code": 1113, "msg": "no money left", "success": False}, ModelError, "1113"),
    ([{"error": {"message": "no money left", "code": 400}}], ModelError, "400"),
    ({"error": "no money left"}, ModelError, "no money"),
    ({"error": {"message": "no money left", "code": 529}}, ModelUnavailableError, "529"),
    (
        {"type": "error", "error": {"type": "overloaded_error", "message": "no money left"}},
        ModelUnavailableError,
        "overloaded_error",
    ),
    ({"base_resp": {"status_code": 1004, "status_msg": "no money left"}}, ModelError, "no money"),
    ({"error_code": 17, "error_msg": "no money left"}, ModelError, "no money"),
    ({"detail": [{"loc": ["body"], "msg": "no money left"}]}, ModelError, "body"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ERRORS_IN_BODIES)
async def test_errors_with_status_200(way, case, openai_server, connect):
    body, kind, code = case
    openai_server.answer_json(body)
    with pytest.raises(ModelError, match="no money left") as caught:
        await pieces_of(connect(), way)
    assert type(caught.value) is kind
    assert code in str(caught.value)


@pytest.mark.parametrize("way", STREAMED)
async def test_an_error_in_a_choice(way, openai_server, connect):
    error = {"message": f"overloaded {KEY}", "code": 502}
    openai_server.answer_events([{"choices": [{"index": 0, "delta": {}, "error": error}]}])
    with pytest.raises(ModelUnavailableError, match=r"code 502.*overloaded \*\*\*"):
        await pieces_of(connect(), way)


@pytest.mark.parametrize("way", WHOLE)
async def test_a_server_that_counts_nothing(way, openai_server, connect):
    openai_server.answer("yes", usage=None)
    assert await pieces_of(connect(), way) == [ChatReply("yes")]


def held_by(error: BaseException) -> str:
    """Return all that an error, its causes and the frames of their tracebacks hold, as text."""
    seen, todo, texts = set(), [error], []
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        texts += [str(each), repr(vars(each))]
        todo += [each.__cause__, each.__context__]
        trace = each.__traceback__
        while trace is not None:
            here = trace.tb_frame.f_code.co_filename
            if "/tests/" not in here:
                texts += [f"{name}={value!r}" for name, value in trace.tb_frame.f_locals.items()]
            trace = trace.tb_next
    return "\n".join(texts)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500])
async def test_no_error_holds_the_key(way, status, openai_server, connect):
    openai_server.fail(status, message=f"Authorization: Bearer {KEY} cannot do it")
    with pytest.raises(ModelError) as caught:
        await pieces_of(connect(), way)
    assert caught.value.__cause__ is not None
    assert KEY not in held_by(caught.value)
    assert "1234567890" not in held_by(caught.value)


@pytest.mark.parametrize("way", WAYS)
async def test_no_error_of_the_connection_holds_the_key(way, openai_server, connect):
    openai_server.hang()
    with pytest.raises(ModelError) as caught:
        await pieces_of(connect(timeout=0.2), way)
    assert KEY not in held_by(caught.value)


@pytest.mark.parametrize("way", WAYS)
async def test_words_that_repeat_the_question_are_left_out(way, openai_server, connect):
    openai_server.fail(400, message=f"cannot read {ASKED[0]['content']!r}")
    with pytest.raises(ModelError, match="left out") as caught:
        await pieces_of(connect(), way)
    assert "secret question" not in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nothing_goes_to_another_host(way, status, openai_server, connect):
    port = openai_server.base_url.rsplit(":", 1)[1].split("/")[0]
    openai_server.redirect(f"http://localhost:{port}/v1/chat/completions", status)
    openai_server.answer("never")
    with pytest.raises(ModelError, match=rf"redirects to localhost \(status {status}\).*base_url"):
        await pieces_of(connect(), way)
    assert len(openai_server.requests) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_redirect_on_the_same_host_is_followed(way, openai_server, connect):
    openai_server.redirect("/v1/chat/completions")
    openai_server.answer("yes")
    assert "".join(piece.text for piece in await pieces_of(connect(), way)) == "yes"


def packed(document: object, padding: int = 0) -> bytes:
    return gzip.compress(json.dumps(document).encode() + b" " * padding)


@pytest.mark.parametrize("way", WAYS)
async def test_a_packed_answer_is_unpacked_up_to_a_limit(way, openai_server, connect, monkeypatch):
    answer = {"choices": [{"message": {"role": "assistant", "content": "yes"}}]}
    openai_server.answer_packed(packed(answer))
    assert "".join(piece.text for piece in await pieces_of(connect(), way)) == "yes"
    assert openai_server.requests[0].headers["Accept-Encoding"] == "identity"
    monkeypatch.setattr("trivec.chat.openai_client.LARGEST_ANSWER", 2**20)
    bomb = packed(answer, padding=2**26)
    assert len(bomb) < 2**17
    openai_server.answer_packed(bomb)
    with pytest.raises(ModelError, match="too large"):
        await pieces_of(connect(), way)


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://models.example/v1", True),
        ("http://10.0.0.7:8000/v1", True),
        ("https://models.example/v1", False),
        ("http://127.0.0.1:9/v1", False),
        ("http://localhost:9/v1", False),
        ("http://[::1]:9/v1", False),
    ],
)
def test_a_key_over_plain_http_is_warned_of(url, warns, connect, caplog):
    with caplog.at_level(logging.WARNING, logger="trivec"):
        assert url.rstrip("/") in connect(base_url=url).identity
    assert [("plain http" in each.message) for each in caplog.records] == [True] * warns
    assert KEY not in caplog.text
