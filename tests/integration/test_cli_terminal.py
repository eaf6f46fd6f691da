"""Nothing from outside steers the terminal: every command, every stream, every kind of text."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.reading import Reading

from trivec import Chunk, HybridIndex, cli
from trivec.cli import terminal
from trivec.cli.terminal import shown
from trivec.errors import ModelError
from trivec.testing import FakeEncoder

CLI = Path(terminal.__file__).parent
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MARKUP = "[red]m[link=x]l[bold]"
NAME = f"\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\u202eevil\u2066\u200f\x08\r{MARKUP}"
"""What a file, a source, an id, a key or a value may be called."""
CLOSED = "[/] [/red] [/nothing]"


@pytest.fixture
def run(command_line, monkeypatch, openai_server):
    """Runs the command line; whatever it prints, nothing in it steers a terminal."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: Reading(name=model))

    def call(*arguments, code=0):
        outcome = command_line(*arguments)
        assert outcome.code == code, outcome
        for stream in (outcome.out, outcome.err):
            assert not STEERS.search(stream), stream
        return outcome

    return call


@pytest.fixture
def docs(tmp_path) -> Path:
    folder = tmp_path / f"docs{NAME}"
    folder.mkdir()
    folder.joinpath(f"a{NAME}.txt").write_text(f"Bees make honey {NAME}.", "utf-8")
    folder.joinpath(f"b{NAME}.jpg").write_bytes(b"")
    folder.joinpath(f"c{NAME}.txt").write_bytes(b"\x81\xff\x00\xfe")
    folder.joinpath(f"d{NAME}.txt").write_bytes("企鹅不会飞，但是它们游得很快。".encode("gb18030"))
    return folder


@pytest.fixture
def kb(tmp_path) -> Path:
    """An index that somebody else wrote, with such texts wherever there are texts."""
    place = tmp_path / f"kb{NAME}"
    with HybridIndex.open(place, Reading(name="mini")) as index:
        metadata = {"key [red]": NAME, "lang": "en", "n": {NAME: [NAME]}}
        index.add(
            [
                Chunk(
                    f"Bees make honey. {MARKUP}{CLOSED}", id="bees\u202e[red]", metadata=metadata
                ),
                Chunk(
                    f"The cat \u202e sleeps. {CLOSED}", source=f"cat{NAME}", metadata={"lang": "en"}
                ),
            ]
        )
    return place


def test_index_and_sync(run, docs, tmp_path):
    place = tmp_path / f"new{NAME}"
    first = run("index", docs, "--to", place, code=3)
    assert "\\x1b[31mred\\x1b]0;title\\x07\\x9b2J" in first.out
    assert MARKUP in first.err
    assert first.err.count("left out: ") == 2
    docs.joinpath(f"a{NAME}.txt").rename(docs / f"z{NAME}.txt")
    docs.joinpath(f"d{NAME}.txt").unlink()
    run("sync", place, docs, "--dry-run", code=3)
    report = json.loads(run("sync", place, docs, "--json", code=3).out)
    assert report["place"] == str(place)
    assert report["root"] == str(docs)
    assert {one["path"] for one in report["left_out"]} == {
        (docs / f"{letter}{NAME}.{suffix}").as_posix()
        for letter, suffix in (("b", "jpg"), ("c", "txt"))
    }
    assert len(report["gone"]) == 2


def test_refused_kept_and_truncated(run, docs, tmp_path):
    row = json.dumps({"id": NAME, "text": "one"}) + "\n" + json.dumps({"id": NAME, "text": "two"})
    docs.joinpath(f"rows{NAME}.jsonl").write_text(row, "utf-8")
    refused = run("sync", tmp_path / "kb", docs, code=3)
    assert "refused: " in refused.err
    for path in docs.iterdir():
        path.unlink()
    kept = run("sync", tmp_path / "kb", docs, code=3)
    assert "kept, though its file is missing: " in kept.err


def test_the_log(run, docs, tmp_path, monkeypatch):
    written = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", written)
    terminal.log_to_stderr()
    run("--debug", "index", docs, "--to", tmp_path / "kb", code=3)
    assert "read as GB18030" in written.getvalue()
    assert "\\x1b[31mred" in written.getvalue()
    assert not STEERS.search(written.getvalue())


def test_search(run, kb):
    explained = run("search", kb, "bees cat", "--explain")
    assert f"{MARKUP}{CLOSED}" in explained.out
    assert "\\u202e" in explained.out
    hits = json.loads(run("search", kb, f"bees {NAME}", "--json").out)["hits"]
    assert {hit["id"] for hit in hits} >= {"bees\u202e[red]"}
    assert {hit["metadata"].get("key [red]") for hit in hits} == {NAME, None}
    reranked = run("search", kb, NAME, "--rerank", NAME, code=1)
    assert "\\x1b" in reranked.err
    run("search", kb, "bees", "--filter", json.dumps({NAME: {NAME: 1}}), code=1)
    run("search", kb, "bees", "--arms", NAME.replace("=", ""), code=1)


def test_ask(run, kb, openai_server):
    asked = ("ask", kb, "cat bees?", "--chat-model", "m")
    openai_server.answer(f"{NAME} The cat sleeps [1][2]. {NAME}.")
    answer = run(*asked, "--explain")
    assert MARKUP in answer.out
    openai_server.answer(f"{NAME} [1].")
    assert NAME in json.loads(run(*asked, "--json").out)["answer"]
    run("ask", kb, "cat bees?", "--evidence", "--explain")
    sentences = json.loads(run("ask", kb, "cat bees?", "--evidence", "--json").out)["sentences"]
    assert any("\u202e" in one["text"] for one in sentences)
    openai_server.fail(400, message=NAME)
    assert MARKUP in run(*asked, code=1).err


def test_questions_and_feedback(run, kb, openai_server):
    openai_server.otherwise = lambda _: NAME
    failed = run("questions", kb, "--chat-model", "m", code=1)
    assert "failed: bees\\u202e[red]: " in failed.err
    json.loads(run("questions", kb, "--chat-model", "m", "--json", code=1).out)
    note = run("feedback", kb, NAME, "--forget", "bees\u202e[red]")
    assert note.err.startswith("note: bees\\u202e[red]: ")
    run("feedback", kb, NAME, "--good", NAME, code=1)


def test_changes(run, kb, tmp_path):
    copied = run("copy", kb, tmp_path / f"copy{NAME}")
    assert copied.out.count(MARKUP) == 2
    json.loads(run("copy", kb, tmp_path / f"copy{NAME}", "--json").out)
    assert MARKUP in run("add-arm", kb, "colbert").out
    assert MARKUP in run("add-arm", kb, NAME, code=1).err
    assert MARKUP in run("delete", kb, "--source", f"cat{NAME}").out
    json.loads(run("delete", kb, "--id", NAME, "--json").out)


def test_info_and_what_the_description_holds(run, tmp_path):
    place = tmp_path / "kb"
    HybridIndex.open(place, Reading(name=NAME)).close()
    table = run("info", place).out
    assert MARKUP in re.sub(r"[\s│]", "", table)
    report = json.loads(run("info", place, "--json").out)
    assert report["schema"]["fingerprint"]["encoder"]["model"] == NAME
    description = place / "trivec.json"
    schema = json.loads(description.read_text("utf-8"))
    for damaged in (schema | {"fingerprint": NAME}, schema | {NAME: NAME}, {NAME: NAME}):
        description.write_text(json.dumps(damaged), "utf-8")
        run("info", place, code=1)
        run("search", place, "bees", code=1)
    description.write_text(NAME, "utf-8")
    run("info", place, code=1)


def test_check(run, kb):
    assert MARKUP in run("check", kb).out
    json.loads(run("check", kb, "--json").out)
    [status] = kb.rglob("vector_storage-dense/vectors/status.dat")
    status.unlink()
    assert "damaged: " in run("check", kb, code=3).err
    assert MARKUP in run("check", kb, "--repair").out
    run("check", kb.with_name(f"none{NAME}"), code=1)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((NAME,), 2),
        (("search", "kb", "q", f"--{NAME}"), 2),
        (("search", "kb", "q", "-k", NAME), 2),
        (("search", "kb", "q", "--filter", NAME), 2),
        (("search", "kb", "q", "--filter", f'["{NAME}"]'), 2),
        (("search", "kb", "q", "--arms", f"a={NAME}"), 2),
        (("search", "kb", "q", "--fusion", NAME), 2),
        (("search", NAME, "q"), 1),
        (("search", f"http://{NAME}", "q", "--collection", NAME), 70),
        (("index", NAME, "--to", "kb"), 2),
        (("sync", "kb", ".", NAME), 2),
        (("ask", "kb", "q", "--chat-model", "m", "--chat-option", NAME), 2),
        (("ask", "kb", "q", "--chat-model", "m", "--chat-option", f"seed={NAME}"), 2),
        (("export", "mini", "out", "--samples", NAME), 2),
        (("export", NAME, "out"), 1),
    ],
)
def test_errors(command_line, tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)
    outcome = command_line(*arguments)
    assert outcome.out == ""
    assert not STEERS.search(outcome.err)
    assert "error: " in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.code == code


def test_defects(run, kb, monkeypatch):
    def fail(*_, **__):
        raise ValueError(NAME)

    monkeypatch.setattr(FakeEncoder, "encode_queries", fail)
    assert MARKUP in run("search", kb, "bees", code=70).err
    assert "Traceback" in run("--debug", "search", kb, "bees", code=70).err


def test_progress_on_a_terminal(run, docs, tmp_path, monkeypatch):
    """A terminal gets colours of our own, and still nothing from outside."""

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    out, err = Terminal(), Terminal()
    encode = FakeEncoder.encode_documents
    read = "[123] of 3 files, 0 passages"

    def slowly(*given, **more):
        end = monotonic() + 60
        while not re.search(read, err.getvalue()) and monotonic() < end:
            sleep(0.02)  # until the line is drawn anew
        return encode(*given, **more)

    monkeypatch.setattr(FakeEncoder, "encode_documents", slowly)
    monkeypatch.setattr("sys.argv", ["trivec", "sync", str(tmp_path / "kb"), str(docs)])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main()
    drawn = err.getvalue()
    assert "looking for files" in drawn
    assert re.search(read, drawn)  # before the first batch is encoded
    ours = re.sub(r"\x1b\[[0-9;?]*[mAKhl]|\r", "", drawn)  # colours, lines up, erase, cursor
    assert not STEERS.search(ours)
    assert "\\x1b[31mred" in ours
    assert "]0;title\x07" not in drawn


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gb18030", "cp1252", "utf-8"])
def test_json_is_valid_in_every_encoding(encoding, monkeypatch):
    value = {"text": f"{NAME} 企鹅 é \U0001f41d \ud800 \x85\u2028", "n": [1.5, None]}
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    terminal.prepare()
    terminal.print_json(value)
    written = raw.getvalue().decode(encoding)
    assert not STEERS.search(written)
    assert json.loads(written) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\x9b\x90\x7f\x00", "\\x9b\\x90\\x7f\\x00"),
        ("\u202e\u2067\u200f\u061c", "\\u202e\\u2067\\u200f\\u061c"),
        ("\udc80", "\\udc80"),
        ("نص عربي, 👩‍👩‍👧, \u200c\u200d", "نص عربي, 👩‍👩‍👧, \u200c\u200d"),
    ],
)
def test_what_is_shown(text, expected):
    assert shown(text) == expected


def test_there_is_one_door():
    """No other module of the command line writes, or makes a text of rich's own."""
    doors = re.compile(
        r"typer\.(echo|secho|style)|print\(|sys\.std(out|err)\.|rich\.(text|console)|\.print\("
    )
    for path in sorted(CLI.glob("*.py")):
        if path.name == "terminal.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = [ast.Pass()]
        code = ast.unparse(tree)
        found = [line for line in code.splitlines() if doors.search(line) and "Group" not in line]
        assert not found, f"{path.name}: {found}"


def test_an_error_may_hold_lines(run, kb, monkeypatch):
    def fail(*_, **__):
        raise ModelError(f"first\r\n second {NAME}\n")

    monkeypatch.setattr(FakeEncoder, "encode_queries", fail)
    assert run("search", kb, "bees", code=1).err.startswith("error: first; second \\x1b")
