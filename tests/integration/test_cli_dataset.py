"""``trivec dataset``, ``leaks`` and ``keywords-dataset``, after a model wrote the questions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trivec import Chunk, HybridIndex
from trivec.testing import FakeEncoder
from trivec.training.data import read_examples, write_examples

THINGS = ("fountain", "obelisk", "windmill", "lighthouse", "cathedral", "observatory", "quarry")
MATTERS = ("built", "painted", "repaired")


@pytest.fixture
def run(monkeypatch, command_line, openai_server):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: FakeEncoder(name=model))
    return command_line


@pytest.fixture
def kb(tmp_path, run, openai_server) -> Path:
    """An index of seven documents, with a question about each passage."""
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(name="mini")) as index:
        index.add(
            Chunk(
                f"The {thing} was {matter} by {thing[:3]}{matter[:3]}ius.",
                source=f"{thing}.md",
                position=at,
            )
            for thing in THINGS
            for at, matter in enumerate(MATTERS)
        )

    def write(body):
        passage = body["messages"][1]["content"].split("\n")[1].split()
        return json.dumps({"questions": [f"who {passage[3]} the old {passage[1]}?"]})

    openai_server.otherwise = write
    assert run("questions", tmp_path / "kb", "--chat-model", "m", "--no-refine").code == 0
    return tmp_path / "kb"


def test_from_questions_to_examples(run, kb, tmp_path):
    outcome = run("dataset", tmp_path / "out", "--index", kb, "--json", "--without", "held out")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["given"] == 21 == report["kept"] + sum(report["dropped"].values())
    assert report["origins"] == {"generated": report["kept"]}
    train = list(read_examples(tmp_path / "out" / "train.jsonl"))
    assert all(example.neg for example in train)

    told = run("dataset", tmp_path / "out", "--index", kb)
    assert "21 pairs:" in told.out
    assert run("leaks", tmp_path / "out").code == 0
    chats = run("keywords-dataset", kb, tmp_path / "out", "--json")
    assert chats.code == 0, chats.err
    assert json.loads(chats.out)["written"] > 0


def test_leaks_end_with_exit_code_1(run, kb, tmp_path):
    assert run("dataset", tmp_path / "out", "--index", kb).code == 0
    test = list(read_examples(tmp_path / "out" / "test.jsonl"))
    write_examples(tmp_path / "out" / "train.jsonl", test)
    outcome = run("leaks", tmp_path / "out")
    assert outcome.code == 1
    assert "leak: question of test" in outcome.err
    listed = json.loads(run("leaks", tmp_path / "out", "--json").out)["leaks"]
    assert {leak["kind"] for leak in listed} >= {"question", "document", "passage id"}


@pytest.mark.parametrize(
    "case",
    [
        ((), "--index PLACE, or --from FILE"),
        (("--from", "none.csv"), "does not exist"),
        (("--index", "kb", "--without", "everything"), "allowed"),
        (("--index", "kb", "--without", "blank"), "cannot be trained on"),
        (("--index", "kb", "--dev", "0.6", "--test", "0.6"), "leave nothing"),
    ],
)
def test_what_cannot_be_used_is_named(run, kb, tmp_path, monkeypatch, case):
    arguments, said = case
    monkeypatch.chdir(tmp_path)
    outcome = run("dataset", "out", *arguments)
    assert outcome.code in {1, 2}
    assert said in outcome.err


def test_a_killed_run_goes_on_and_ends_as_if_nothing_was(kb, tmp_path):
    """kill -9 in the middle of mining: the next run searches for the rest alone."""
    code = """
import os, signal, sys
from pathlib import Path
from trivec import HybridIndex
from trivec.testing import FakeEncoder
from trivec.training.data import build_dataset, gather, mining
mining.BATCH = 2
done = 0
def progress(count):
    global done
    done += count
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
with HybridIndex.open(sys.argv[1], FakeEncoder(name="mini")) as index:
    build_dataset(gather(index), index, sys.argv[2], progress=progress)
"""

    def build(folder: Path, stop: int) -> int:
        command = [sys.executable, "-c", code, str(kb), str(folder), str(stop)]
        return subprocess.run(command, check=False, capture_output=True).returncode

    assert build(tmp_path / "killed", 5) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "report.json").exists()
    kept = len((tmp_path / "killed" / "mining.jsonl").read_bytes().splitlines()) - 1
    assert kept >= 5
    assert build(tmp_path / "killed", 10_000) == 0
    assert build(tmp_path / "whole", 10_000) == 0
    for name in ("train.jsonl", "mining.jsonl", "report.json", "dropped.jsonl"):
        killed, whole = (tmp_path / folder / name for folder in ("killed", "whole"))
        assert killed.read_bytes() == whole.read_bytes()
