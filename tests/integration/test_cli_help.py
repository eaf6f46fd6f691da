"""What help, variables and exit codes promise: every example runs, every code is true."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from tests.reading import Reading

from trivec import cli
from trivec.cli import exits, variables
from trivec.cli.arguments import ChatArguments
from trivec.cli.chat import connected
from trivec.cli.examples import EXAMPLES
from trivec.errors import ModelError

PROGRAM = typer.main.get_command(cli.app)
COMMANDS = sorted(PROGRAM.commands)
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
FOUND = ("fountain", "obelisk", "windmill", "lighthouse", "cathedral", "observatory", "quarry")


@pytest.fixture
def run(command_line, monkeypatch, openai_server):
    for name in ("PLACE", "COLLECTION", "MODEL", "DEVICE", "CHAT_MODEL"):
        monkeypatch.delenv(getattr(variables, name), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: Reading(name=model))
    return command_line


@pytest.fixture
def notes(tmp_path, monkeypatch) -> Path:
    """The working directory of somebody who tries the examples."""
    folder = tmp_path / "notes"
    folder.mkdir()
    food = [
        {"id": "lemon", "text": "Lemons are sour.", "lang": "en"},
        {"id": "honey", "text": "蜂蜜很甜。", "lang": "zh"},
    ]
    folder.joinpath("food.jsonl").write_text("\n".join(map(json.dumps, food)), "utf-8")
    folder.joinpath("prices.csv").write_text("sku,name,price\n1,calcium,7\n", "utf-8")
    asked = ["question,passage", "what is sour?,Lemons are sour.", "什么很甜？,蜂蜜很甜。"]
    many = ["question,passage,document"]
    many += [f"what is number {at}?,This is number {at}.,book {at}" for at in range(60)]
    tmp_path.joinpath("many.csv").write_text("\n".join(many), "utf-8")
    example = {"query": "what is sour?", "pos": ["Lemons are sour."]}
    tmp_path.joinpath("train.jsonl").write_text(json.dumps(example), "utf-8")
    tmp_path.joinpath("tuned").mkdir()
    facts = ["question,passage,document"]
    facts += [f"where is the {one} found?,The {one} stands in {one} land.,{one}" for one in FOUND]
    tmp_path.joinpath("facts.csv").write_text("\n".join(facts), "utf-8")
    tmp_path.joinpath("asked.csv").write_text("\n".join(asked), "utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


def parameters(command: str) -> dict[str, typer.core.TyperOption]:
    return {one.name: one for one in PROGRAM.commands[command].params}


def test_every_example_of_every_help_runs(run, notes, monkeypatch, openai_server):
    from qdrant_client import QdrantClient

    def exported(*_, **__):
        raise typer.Exit(0)

    class Server(QdrantClient):
        def __init__(self, **_):
            super().__init__(":memory:")

    monkeypatch.setattr("qdrant_client.QdrantClient", Server)
    monkeypatch.setattr("trivec.exporting.export_encoder", exported)
    for name in ("finetune", "mix_models", "prune_model"):  # which need the model itself
        monkeypatch.setattr(f"trivec.training.{name}", exported)
    monkeypatch.setattr("trivec.serving.explorer.serve_explorer", lambda *_, **__: None)
    openai_server.otherwise = lambda body: (
        '{"questions": ["what is sour?"]}' if "response_format" in body else "Lemons are [1]."
    )
    shown = []
    for name in EXAMPLES:
        text = run(name.replace("_", "-"), "-h").out
        found = re.findall(r"^ +(trivec .*)$", text, re.MULTILINE)
        assert found == list(EXAMPLES[name])
        shown += found
    assert {shlex.split(line)[1] for line in shown} == set(COMMANDS)
    for line in shown:
        arguments = shlex.split(line.replace("http://localhost:8000/v1", openai_server.base_url))
        outcome = run(*arguments[1:])
        assert outcome.code == 0, f"{line}: {outcome.err}"


def test_what_help_quotes_exists():
    quoted = 0
    for name, command in PROGRAM.commands.items():
        text = " ".join([command.help or "", *(getattr(one, "help", "") for one in command.params)])
        for other, options in re.findall(r"'(?:trivec )?([a-z-]+)((?: --[a-z-]+)*)'", text):
            quoted += 1
            taken = {flag for one in PROGRAM.commands[other].params for flag in one.opts}
            assert set(options.split()) <= taken, name
    assert quoted >= 3


@pytest.mark.parametrize("command", ["search", "ask"])
def test_the_examples_of_options(run, notes, command):
    run("sync", "kb", "notes", "--model", "mini")
    asked = (command, "kb", "calcium", *(("--evidence",) if command == "ask" else ()), "--json")
    known = parameters(command)
    for name, pattern in {
        "arms": r"\w+=\S+",
        "filter_json": r"\{.*\}",
        "device": r"cuda:1",
    }.items():
        examples = re.findall(pattern, known[name].help)
        assert examples, name
        for example in examples:
            outcome = run(*asked, known[name].opts[0], example)
            assert outcome.code == 0, outcome.err


def test_the_examples_of_chat_options():
    given = re.findall(r"\w+=[^\s,.]+", parameters("ask")["chat_option"].help)
    assert len(given) == 4
    connected("m", ChatArguments(chat_option=given))


def test_ask_takes_every_option_of_search():
    of_search, of_ask = ({*parameters(name)} for name in ("search", "ask"))
    assert of_search - {"query"} <= of_ask
    for name in of_search - {"query", "k"}:
        one, other = (parameters(command)[name] for command in ("search", "ask"))
        assert (one.opts, one.help, one.default) == (other.opts, other.help, other.default)


def test_the_options_of_a_search_reach_an_answer(run, notes, monkeypatch):
    from trivec import HybridIndex

    run("sync", "kb", "notes", "--model", "mini", "--colbert")
    seen = []
    search = HybridIndex.search

    def spy(self, query, k, **settings):
        seen.append(settings)
        return search(self, query, k, **settings)

    monkeypatch.setattr(HybridIndex, "search", spy)
    given = ("--arms", "dense=1,bm25=0.5", "--colbert", "rescore", "--explain")
    asked = ("calcium", "--filter", '{"lang": "zh"}', *given, "--json")
    found = json.loads(run("ask", "kb", *asked, "--evidence").out)
    run("search", "kb", *asked)
    assert seen[0] == seen[1]
    assert seen[0]["options"].fusion == "adaptive"
    assert {"dense"} < set(found["sentences"][0]["arms"]) <= {"dense", "bm25", "colbert"}
    explained = run("ask", "kb", "calcium", "--evidence", "--arms", "bm25", "--explain")
    assert "calcium (bm25" in explained.out


def test_evidence_says_when_it_is_weak(run, notes):
    run("sync", "kb", "notes", "--model", "mini")
    asked = ("ask", "kb", "who won in 1972?", "--evidence")
    weak = run(*asked, "--min-evidence", 0.99)
    assert weak.code == 0
    assert re.search(
        r"note: the evidence is weak \(-?0\.\d+, at least 0\.990 is wanted\)", weak.err
    )
    assert json.loads(run(*asked, "--min-evidence", 0.99, "--json").out)["evidence"]["is_weak"]
    assert run(*asked, "--min-evidence", -1).err == ""


def test_model_means_one_thing():
    of_embedding = {
        (one.help, one.envvar)
        for command in PROGRAM.commands.values()
        for one in command.params
        if "--model" in one.opts
    }
    assert [envvar for _, envvar in of_embedding] == [variables.MODEL]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_in_both_spellings(run, command):
    given = () if command is None else (command,)
    short, long = run(*given, "-h"), run(*given, "--help")
    assert short.code == long.code == 0
    assert short.out == long.out
    assert short.out.startswith("Usage: trivec")
    assert short.err == ""


def test_help_fits_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for command in COMMANDS:
        lines = run(command, "-h").out.split("Examples:")[0].splitlines()
        words = [line for line in lines if len(line) > 60 and " " in line.strip()]
        assert not words, command


def test_version(run):
    from trivec import __version__

    assert run("--version").out == f"trivec {__version__}\n"


def test_without_a_command_help_is_shown(run):
    outcome = run()
    assert (outcome.code, outcome.out) == (2, run("-h").out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, monkeypatch, shell):
    monkeypatch.setenv("_TRIVEC_COMPLETE", f"source_{shell}")
    script = run().out
    assert "_TRIVEC_COMPLETE" in script
    monkeypatch.setenv("_TRIVEC_COMPLETE", f"complete_{shell}")
    words = {"COMP_WORDS": "trivec se", "COMP_CWORD": "1"}
    words |= {"_TYPER_COMPLETE_ARGS": "trivec se", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    assert "search" in run().out


class TestVariables:
    @pytest.fixture(autouse=True)
    def kb(self, run, notes, monkeypatch, tmp_path) -> Path:
        run("sync", "kb", notes.name, "--model", "mini")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv(variables.PLACE, "~/kb")
        return tmp_path / "kb"

    @pytest.mark.parametrize(
        "arguments",
        [
            ("search", "calcium"),
            ("search", "calcium", "-k", "3"),
            ("search", "-k", "3", "--", "calcium"),
            ("ask", "calcium", "--evidence"),
            ("sync", "notes"),
            ("sync", "notes/food.jsonl", "notes/prices.csv"),
            ("sync", "--dry-run", "notes", "notes/prices.csv"),
            ("index", "notes"),
            ("info",),
            ("check",),
            ("delete", "--source", "prices.csv"),
            ("copy", "other"),
            ("add-arm", "colbert"),
            ("feedback", "what is sour?", "--good", "lemon"),
        ],
    )
    def test_the_place(self, run, arguments, tmp_path):
        outcome = run(*arguments)
        assert outcome.code == 0, outcome.err
        assert not (tmp_path / "~").exists()
        assert {path.name for path in tmp_path.iterdir()} <= {
            *("asked.csv", "many.csv", "facts.csv", "train.jsonl", "tuned"),
            *("kb", "notes", "other"),
        }

    def test_what_is_given_wins(self, run, tmp_path):
        assert run("search", "kb", "calcium").code == 0
        assert "there is no index" in run("search", "nowhere", "calcium").err
        assert run("sync", "new", "notes", "--model", "mini").code == 0
        assert run("sync", "kb", "notes").code == 0
        assert run("index", "notes", "--to", "third", "--model", "mini").code == 0
        assert {"new", "third"} <= {path.name for path in tmp_path.iterdir()}

    def test_what_is_missing_is_still_missing(self, run):
        assert "Missing argument 'query'" in run("search").err
        assert "Missing argument" in run("sync").err
        assert run("search", "-h").code == 0

    def test_the_machine(self, run):
        assert "machine" in json.loads(run("info", "--machine", "--json").out)
        assert "passages" in json.loads(run("info", "--json").out)

    def test_the_collection_goes_with_a_url(self, run, monkeypatch):
        asked = {}

        class Client:
            def __init__(self, **settings):
                asked.update(settings)

            def close(self):
                pass

            def __getattr__(self, name):
                raise ModelError(f"no {name} today")

        monkeypatch.setattr("qdrant_client.QdrantClient", Client)
        monkeypatch.setenv(variables.COLLECTION, "kb")
        assert run("search", "calcium").code == 0  # a folder
        outcome = run("info", "https://qdrant.test:6333")
        assert asked["url"] == "https://qdrant.test:6333"
        assert "--collection" not in outcome.err

    def test_the_model(self, run, monkeypatch):
        monkeypatch.setenv(variables.MODEL, "other")
        refused = run("search", "calcium")
        assert refused.code == 1
        assert refused.err.endswith(f"; {variables.MODEL} is set, and stands in for --model\n")
        assert run("search", "calcium", "--model", "mini").code == 0
        assert run("index", "notes", "--to", "third").code == 0
        written = json.loads(run("info", "third", "--json").out)
        assert written["schema"]["fingerprint"]["encoder"]["model"] == "other"

    def test_the_language_model(self, run, monkeypatch, openai_server):
        openai_server.answer("Calcium [1].")
        monkeypatch.setenv(variables.CHAT_MODEL, "qwen3")
        assert run("ask", "calcium").code == 0
        assert openai_server.requests[0].body["model"] == "qwen3"

    def test_help_and_docs_name_them(self, run):
        text = "".join(run(command, "-h").out for command in COMMANDS)
        docs = DOCS.read_text("utf-8")
        for name in ("PLACE", "COLLECTION", "MODEL", "DEVICE", "CHAT_MODEL"):
            assert getattr(variables, name) in text
            assert f"`{getattr(variables, name)}`" in docs


def _emptied(run, notes):
    for path in notes.iterdir():
        path.unlink()
    return run("index", "notes", "--to", "new", "--model", "mini")


def _broken(run, notes):
    notes.joinpath("a.pdf").write_bytes(b"%PDF-1.7")
    return run("sync", "kb", "notes")


def _answered(text: str, **more: str):
    def ask(run, openai_server):
        openai_server.answer(text, **more)
        return run("ask", "kb", "is calcium sour?", "--chat-model", "m")

    return ask


def _damaged(run, _):
    next(Path("kb").rglob("vector_storage-dense/vectors/status.dat")).unlink()
    return run("check", "kb")


OUTCOMES = {
    "indexed": (0, lambda run, _: run("sync", "kb", "notes")),
    "nothing to index": (0, _emptied),
    "nothing matches": (0, lambda run, _: run("search", "kb", "x", "--filter", '{"lang": "fr"}')),
    "answered": (0, _answered("Lemons are [1].")),
    "refused": (0, _answered("NO_EVIDENCE")),
    "no index": (1, lambda run, _: run("search", "nowhere", "x")),
    "left out, strict": (
        1,
        lambda run, notes: _broken(run, notes) and run("sync", "kb", "notes", "--strict"),
    ),
    "no model": (1, lambda run, _: run("ask", "kb", "x")),
    "model failed": (
        1,
        lambda run, _: run(
            "questions",
            "kb",
            "--chat-model",
            "m",
            "--base-url",
            "http://127.0.0.1:9/v1",
            "--chat-option",
            "max_retries=0",
        ),
    ),
    "wrong option": (2, lambda run, _: run("search", "kb", "x", "--nose")),
    "no such path": (2, lambda run, _: run("sync", "kb", "nowhere.txt")),
    "left out": (3, _broken),
    "cut off": (3, _answered("Lemons are [1]", finish_reason="length")),
    "filtered": (3, _answered("Lemons are [1]", finish_reason="content_filter")),
    "said nothing": (3, _answered("", finish_reason="stop", pieces=[])),
    "damaged": (3, _damaged),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_exit_codes(run, notes, openai_server, outcome):
    run("sync", "kb", "notes", "--model", "mini")
    expected, act = OUTCOMES[outcome]
    given = openai_server if act.__name__ == "ask" else notes
    found = act(run, given)
    assert found.code == expected, found.err
    assert expected in documented_codes()


def documented_codes() -> list[int]:
    return [
        int(code) for code in re.findall(r"^\| (\d+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    ]


def test_the_docs_list_every_code():
    known = {getattr(exits, name) for name in exits.__all__}
    assert set(documented_codes()) == known | {0}
    assert {code for code, _ in OUTCOMES.values()} | {exits.DEFECT, 130, 141} == known | {0}
