"""``trivec questions``, ``feedback`` and ``search --questions``, with a model behind real HTTP."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from trivec import Chunk, HybridIndex
from trivec.testing import FakeEncoder


@pytest.fixture
def run(monkeypatch, command_line, openai_server):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: FakeEncoder(name=model))
    return command_line


@pytest.fixture
def kb(tmp_path) -> Path:
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(name="mini")) as index:
        index.add(
            [
                Chunk("Lactase splits milk sugar.", id="lactase", metadata={"n": 1}),
                Chunk("Bees turn nectar into honey.", id="bees", metadata={"n": 2}),
            ]
        )
    return tmp_path / "kb"


@pytest.fixture
def writer(openai_server):
    """A model that asks of every passage why its first word is so; counts what it was asked."""
    calls = Counter()

    def write(body):
        passage = body["messages"][1]["content"].split("\n")[1]
        calls[passage] += 1
        return json.dumps({"questions": [f"why {passage.split()[0].lower()} so?"]})

    openai_server.otherwise = write
    return calls


def test_questions_are_written_once_and_found(run, kb, writer, openai_server):
    outcome = run("questions", kb, "--chat-model", "m", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert (report["written"], report["questions"], report["failed"]) == (2, 2, [])
    assert report["input_tokens"] > 0
    assert set(writer.values()) == {2}  # drafted, then refined
    assert "response_format" in openai_server.requests[0].body

    again = run("questions", kb, "--chat-model", "m")
    assert "0 passages written for" in again.out
    assert "2 unchanged" in again.out
    assert set(writer.values()) == {2}

    found = json.loads(run("search", kb, "why lactase so", "-k", 1, "--questions", "--json").out)
    (hit,) = found["hits"]
    assert hit["id"] == "lactase"
    assert hit["matches"][0]["term"] == "why lactase so?"


def test_options_reach_the_model(run, kb, writer):
    options = ["--no-refine", "--per-chunk", 3, "--filter", '{"n": 2}', "--concurrency", 1]
    outcome = run("questions", kb, "--chat-model", "m", *options, "--json")
    assert json.loads(outcome.out)["written"] == 1
    assert dict(writer) == {"Bees turn nectar into honey.": 1}


def test_failures_are_told(run, kb, openai_server):
    openai_server.otherwise = lambda _: "I cannot do that."
    outcome = run("questions", kb, "--chat-model", "m")
    assert outcome.code == 1
    assert outcome.err.count("holds no questions") == 2
    assert "2 failed" in outcome.out

    outcome = run("questions", kb, "--chat-model", "m", "--json")
    assert outcome.code == 1
    assert len(json.loads(outcome.out)["failed"]) == 2


def test_a_server_that_refuses_schemas_is_asked_otherwise(run, kb, writer, openai_server):
    refused = "This response_format type is unavailable now"
    openai_server.fail(400, message=refused)
    outcome = run("questions", kb, "--chat-model", "m", "--filter", '{"n": 1}')
    assert outcome.code == 1
    assert f"{refused}; " in outcome.err
    assert "schema_refused=ask_without" in outcome.err
    openai_server.fail(400, message=refused)
    option = ("--chat-option", "schema_refused=ask_without")
    assert run("questions", kb, "--chat-model", "m", "--concurrency", 1, *option).code == 0
    assert openai_server.requests[-1].body["response_format"] == {"type": "json_object"}


def test_feedback_counts_in_a_search(run, kb):
    asked = "milk sugar"
    assert run("feedback", kb, asked, "--bad", "lactase", "--good", "bees").code == 0

    def first(*options):
        outcome = run("search", kb, asked, "-k", 1, "--json", *options)
        return json.loads(outcome.out)["hits"][0]["id"]

    assert first("--questions") == "bees"
    assert first() == "lactase"
    outcome = run("feedback", kb, asked, "--forget", "bees", "--forget", "bees")
    assert outcome.err.count("there was no verdict") == 1


def test_prune(run, kb, writer):
    run("questions", kb, "--chat-model", "m")
    with HybridIndex.open(kb, FakeEncoder(name="mini")) as index:
        index.delete(ids=["bees"])
    assert json.loads(run("questions", kb, "--prune", "--json").out)["pruned"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["questions"], "no language model is named"),
        (["questions", "--prune"], "no questions yet"),
        (["feedback", "why?"], "--good ID"),
        (["feedback", "why?", "--good", "nowhere"], "no chunks ['nowhere']"),
        (["search", "why?", "--questions"], "no questions yet"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run, kb, arguments, message):
    command, *rest = arguments
    outcome = run(command, kb, *rest)
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_key_that_is_refused_ends_the_run(run, kb, openai_server):
    for _ in range(20):
        openai_server.fail(401, message="bad key sk-test")
    outcome = run("questions", kb, "--chat-model", "m", "--concurrency", 1)
    assert "sk-test" not in outcome.err + outcome.out
    assert outcome.err.count("refuses the API key") == 2
