"""What people type: arguments in another order, options in other forms, paths of other systems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trivec.cli.arm_weights import arm_weights
from trivec.testing import FakeEncoder


class Reading(FakeEncoder):
    @staticmethod
    def tokenizer(text: str) -> int:
        return len(text)


@pytest.fixture
def run(command_line, monkeypatch, tmp_path):
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: Reading(name=model))
    monkeypatch.chdir(tmp_path)
    return command_line


@pytest.fixture
def kb(run, tmp_path) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    notes.joinpath("bees.txt").write_text("Bees make honey.", "utf-8")
    assert run("sync", "kb", "notes").code == 0
    return Path("kb")


@pytest.mark.parametrize(
    ("given", "arms"),
    [
        (["dense,bm25"], {"dense": 1, "bm25": 1}),
        (["dense", "bm25"], {"dense": 1, "bm25": 1}),
        (["dense, bm25"], {"dense": 1, "bm25": 1}),
        (["dense bm25"], {"dense": 1, "bm25": 1}),
        (["dense;BM25"], {"dense": 1, "bm25": 1}),
        (['["dense", "bm25"]'], {"dense": 1, "bm25": 1}),
        (["dense=1,bm25=0.5"], {"dense": 1, "bm25": 0.5}),
        (["dense:1;bm25:.5"], {"dense": 1, "bm25": 0.5}),
        (["Dense = 1, bm25 = 0.5"], {"dense": 1, "bm25": 0.5}),
        (['{"dense": 1, "bm25": 0.5}'], {"dense": 1, "bm25": 0.5}),
        (["dense=1", "bm25=5e-1"], {"dense": 1, "bm25": 0.5}),
        (["dense,dense"], {"dense": 1}),
        (["mine"], {"mine": 1}),
        (None, None),
    ],
)
def test_forms_of_arms(given, arms):
    assert arm_weights(given) == arms


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "kb", "q", "--arms", "dense=0,5"), "a weight has a decimal point: dense=0.5"),
        (("search", "kb", "q", "--arms", "dense=1=2"), "NAME or NAME=WEIGHT"),
        (("search", "kb", "q", "--arms", " ,"), "choose from dense, sparse, bm25, colbert"),
        (("search", "kb", "q", "--arms", "dense=1", "--arms", "dense=2"), "'dense' twice"),
        (("search", "kb", "q", "--filter", "lang=zh"), 'write \'{"lang": "zh"}\''),
        (("search", "kb", "q", "--filter", "{'a': 1}"), 'write \'{"lang": "zh"}\''),
        (("search", "kb", "which", "bee"), "put the question in quotes"),
        (("ask", "kb", "which", "bee"), "put the question in quotes"),
        (("search", "which bee", "kb"), "PLACE comes first: trivec search kb 'which bee'"),
        (("ask", "which bee", "kb", "--evidence"), "PLACE comes first: trivec ask kb"),
        (("sync", "notes", "kb"), "PLACE comes first: trivec sync kb 'notes'"),
        (("sync", "notes", "new"), "PLACE comes first: trivec sync new notes"),
        (("search", "kb", "-5 degrees"), "write -- before words that begin with a hyphen"),
        (("delete", "kb", "bees.txt"), "name passages by --id, --source or --filter"),
        (("delete", "kb", "--filter", "{}"), "an empty --filter names no passage"),
        (("copy", "kb", "./kb/"), "FROM and TO are both './kb/'"),
        (("search", r"C:\Users\me\kb", "q"), "is a path of Windows"),
        (("sync", "kb", r"C:\Users\me\notes"), "'/mnt/c/Users/me/notes'"),
        (("search", "localhost:6333", "q"), "write 'http://localhost:6333'"),
        (("info", "file:///home/me/kb"), "is a file's URL; give the path alone"),
    ],
)
def test_a_slip_is_told_with_what_to_type(run, kb, arguments, message):
    result = run(*arguments)
    assert result.code == 2
    assert message in " ".join(result.err.split())
    assert not Path(arguments[1]).exists() or arguments[1] in {"kb", "notes"}


def test_more_passages_by_its_long_name(run, kb):
    hits = json.loads(run("search", kb, "bees", "--top-k", "1", "--json").out)["hits"]
    assert len(hits) == 1


def test_a_source_is_told_as_it_is_stored(run, kb):
    assert "sources are paths relative to" in run("delete", kb, "--source", "no.txt").err
    said = run("delete", kb, "--source", "notes/bees.txt").err
    assert "--source bees.txt" in " ".join(said.split())


def test_an_arm_that_is_there_already(run, kb):
    assert "all 1 passages have bm25 vectors already" in run("add-arm", kb, "bm25").out
