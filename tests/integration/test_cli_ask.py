"""``trivec ask``, run as it is called, against a server that speaks the OpenAI protocol."""

from __future__ import annotations

import json

import pytest

from trivec import Chunk, HybridIndex
from trivec.chat.prompts import FAILURES, NO_EVIDENCE, REFUSALS
from trivec.testing import FakeEncoder

TEA = "Green tea is a warm drink from China."
CAT = "The cat sleeps on the sofa."


@pytest.fixture
def run(monkeypatch, command_line):
    monkeypatch.setattr("trivec.loading.load_encoder", lambda *_, **__: FakeEncoder())
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return command_line


@pytest.fixture
def kb(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add(
            [
                Chunk(TEA, source="tea.md", metadata={"lang": "en"}),
                Chunk(CAT, source="cat\x1b[31m.md", metadata={"lang": "en"}),
                Chunk("绿茶是一种饮料。它来自中国。", source="茶.md", metadata={"lang": "zh"}),
            ]
        )
    return tmp_path / "kb"


@pytest.fixture
def ask(run, kb, openai_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    return lambda *more: run("ask", kb, "what is green tea?", "--chat-model", "m", *more)


def test_an_answer_is_streamed_and_its_sources_named(ask, openai_server):
    openai_server.answer("It is a warm drink [1]. Surely good.")
    outcome = ask()
    assert outcome.code == 0
    assert outcome.out == "It is a warm drink [1]. Surely good.\n[1] tea.md #0\n"
    assert outcome.err == "note: cites nothing: Surely good.\n"
    body = openai_server.requests[0].body
    assert (body["model"], body["stream"]) == ("m", True)
    assert TEA in body["messages"][1]["content"]
    assert openai_server.requests[0].headers["Authorization"] == "Bearer sk-test"


def test_base_url_may_be_given(run, kb, openai_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    openai_server.answer("Warm [1].")
    arguments = ("--chat-model", "m", "--base-url", openai_server.base_url, "-k", 1)
    assert run("ask", kb, "green tea?", *arguments).out == "Warm [1].\n[1] tea.md #0\n"
    assert openai_server.requests[0].body["messages"][1]["content"].count("</passage>") == 1


def test_json_is_one_document(ask, openai_server):
    openai_server.answer("It is a warm drink [1][7].")
    answer = json.loads(ask("--json", "--filter", '{"lang": "en"}').out)
    assert answer["answer"] == "It is a warm drink [1][7]."
    assert (answer["citations"], answer["unknown"]) == ([1], [7])
    assert answer["claims"][0]["citations"] == [1]
    assert answer["passages"][0]["source"] == "tea.md"
    assert len(answer["passages"]) == 2
    assert answer["tokens"]["input"] == 11
    assert answer["timings"].keys() >= {"search", "model", "check"}
    assert (answer["refused"], answer["reason"], answer["notes"]) == (False, None, [])


def test_the_passages_are_in_the_rerankers_order(ask, openai_server, monkeypatch):
    class Longest:
        def score(self, query, passages):
            assert query == "what is green tea?"
            return [float(len(passage)) for passage in passages]

    monkeypatch.setattr("trivec.loading.load_reranker", lambda *_, **__: Longest())
    openai_server.answer("It is a drink [1].")
    answer = json.loads(ask("--json", "--rerank", "folder").out)
    lengths = [len(passage["text"]) for passage in answer["passages"]]
    assert lengths == sorted(lengths, reverse=True)
    assert answer["timings"].keys() >= {"rerank"}


def test_a_refusal_says_why_and_is_no_error(ask, openai_server):
    openai_server.answer(NO_EVIDENCE)
    outcome = ask()
    assert (outcome.code, outcome.out) == (0, f"{REFUSALS['en']}\n")
    assert outcome.err == "note: refused: model_refused\n"
    weak = ask("--min-evidence", 0.99)
    assert weak.err.startswith("note: refused: weak_evidence (0.")
    assert len(openai_server.requests) == 1
    nothing = json.loads(ask("--json", "--filter", '{"lang": "fr"}').out)
    assert (nothing["refused"], nothing["reason"]) == (True, "no_hits")


def test_rewriting_asks_the_model_first(ask, openai_server):
    openai_server.answer('{"keywords": ["sofa"], "sub_questions": []}')
    openai_server.answer("Warm [1].")
    assert json.loads(ask("--json", "--rewrite").out)["keywords"] == ["sofa"]
    assert len(openai_server.requests) == 2


def test_nothing_steers_the_terminal(ask, openai_server):
    openai_server.answer("\x1b[2JThe cat [1] sleeps [2] here [3].")
    outcome = ask()
    assert "\x1b" not in outcome.out + outcome.err
    assert outcome.out.startswith("[2JThe cat")


def test_chat_options_reach_the_model(ask, openai_server):
    openai_server.answer("Warm [1].")
    given = {
        "temperature": "null",
        "max_tokens": "77",
        "seed": "5",
        "stream-usage": "false",
        "extra_body": '{"top_k": 3}',
        "timeout": "7",
        "max_retries": "0",
        "thinks_first": "false",
        "schema_form": "none",
    }
    options = [
        part for name, value in given.items() for part in ("--chat-option", f"{name}={value}")
    ]
    assert ask(*options).code == 0
    body = openai_server.requests[0].body
    assert (body["max_tokens"], body["seed"], body["top_k"]) == (77, 5, 3)
    assert not {"temperature", "stream_options"} & set(body)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("heat=1", "KEY of: temperature, max_tokens"),
        ("temperature", "KEY=VALUE"),
        ("temperature=warm", "temperature='warm'"),
        ("schema_form=xml", "schema_form='xml'"),
        ("max_tokens=0", "max_tokens=0"),
        ("timeout=soon", "timeout=soon"),
        ("extra_body=3", "extra_body=3"),
    ],
)
def test_wrong_chat_options(ask, option, message):
    outcome = ask("--chat-option", option)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.replace("│", " ").split())


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls", "error"])
def test_a_model_that_says_nothing_is_not_a_search_without_hits(ask, openai_server, reason):
    openai_server.answer("", finish_reason=reason, pieces=[])
    outcome = ask()
    assert outcome.out == f"{FAILURES[reason]['en']}\n"
    assert outcome.err.startswith(f"note: refused: {reason}: ")
    openai_server.answer("<think>The tea, [1]?", finish_reason=reason)
    answer = json.loads(ask("--json").out)
    assert (answer["refused"], answer["reason"], answer["citations"]) == (True, reason, [])


def test_an_answer_that_a_filter_cut_says_so(ask, openai_server):
    openai_server.answer("Tea is warm [1] and", finish_reason="content_filter")
    outcome = ask()
    assert outcome.out.startswith("Tea is warm [1] and\n")
    assert "content filter stopped" in outcome.err


def test_thoughts_are_not_shown(ask, openai_server):
    openai_server.answer("<think>Is it [2]?</think>Tea is warm [1].")
    assert ask().out.startswith("Tea is warm [1].\n[1] ")


def test_a_failing_model_is_one_line(ask, openai_server):
    openai_server.fail(401, message="bad key sk-test")
    outcome = ask()
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert "sk-test" not in outcome.err


def test_without_a_model_one_line_says_how(run, kb):
    outcome = run("ask", kb, "what is green tea?")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    for name in ("--chat-model", "--base-url", "OPENAI_API_KEY", "--evidence"):
        assert name in outcome.err


def test_evidence_needs_no_model(run, kb):
    outcome = run("ask", kb, "where does the cat sleep?", "--evidence", "-k", 2)
    first, origin, *_ = outcome.out.splitlines()
    assert first.endswith(CAT)
    assert origin.strip() == "cat[31m.md #0"
    found = json.loads(run("ask", kb, "绿茶来自哪里？", "--evidence", "--json").out)
    assert found["sentences"][0]["source"] == "茶.md"
    assert found["sentences"][0]["score"] >= found["sentences"][1]["score"]
    nothing = run("ask", kb, "tea", "--evidence", "--filter", '{"lang": "fr"}')
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "note: no passage matches\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((" ", "--evidence"), 1, "the question is blank"),
        (("q", "--evidence", "--filter", "["), 2, "not JSON"),
        (("q", "--evidence", "-k", "0"), 2, "-k"),
    ],
)
def test_wrong_arguments(run, kb, arguments, code, message):
    outcome = run("ask", kb, *arguments)
    assert outcome.code == code
    assert message in outcome.err
