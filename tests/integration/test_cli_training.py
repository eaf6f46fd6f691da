"""``trivec finetune``, ``mix``, ``prune`` and ``reindex`` as they are typed, on a tiny model."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("FlagEmbedding")

from trivec.testing.backbone import SENTENCES


def line(at: int) -> str:
    text = SENTENCES[at]
    example = {"query": text[:14], "pos": [text], "neg": [SENTENCES[at - 4]], "source": f"d{at}"}
    return json.dumps(example, ensure_ascii=False)


@pytest.fixture
def run(command_line, tiny_m3, tmp_path, monkeypatch):
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(map(line, range(12))), "utf-8")
    (folder / "dev.jsonl").write_text("\n".join(map(line, range(12, 16))), "utf-8")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "all.txt").write_text("\n\n".join(SENTENCES[:8]), "utf-8")
    config = {"part": "heads", "batch_size": 4, "precision": "fp32", "passage_max_length": 32}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVEC_MODEL", str(tiny_m3))
    return command_line


def test_from_examples_to_an_index_of_the_tuned_model(run, tiny_m3, tmp_path):
    train = ("finetune", "training", "--model", str(tiny_m3), "--output", "tuned")
    outcome = run(*train, "--config", "config.json", "--epochs", "2", "--force", "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["examples"] == 12
    assert told["steps"] == 6
    assert {one["arm"] for one in told["judgements"]} == {"dense", "sparse"}
    again = run(*train, "--config", "config.json")
    assert again.code == 1
    assert "--force" in again.err
    assert run("mix", str(tiny_m3), "tuned", "mixed", "--share", "0.5").code == 0
    pruned = run("prune", "mixed", "small", "notes", "--json")
    assert json.loads(pruned.out)["tokens"] < json.loads(pruned.out)["of"]
    assert run("sync", "kb", "notes", "--model", str(tiny_m3)).code == 0
    moved = run("reindex", "kb", "--model", "small", "--json")
    assert moved.code == 0, moved.err
    assert json.loads(moved.out)["encoded"] == json.loads(moved.out)["passages"] > 0
    found = run("search", "kb", "penguins", "--model", "small", "--json")
    assert found.code == 0, found.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--mix", "most"), "auto, or a number"),
        (("--part", "tail"), "heads, top, encoder, lora"),
        (("--config", "wrong.json"), "epoch"),
        (("--trainer", "mine"), "m3, dense, reranker"),
    ],
)
def test_what_is_not_allowed_is_named(run, tmp_path, arguments, words):
    (tmp_path / "wrong.json").write_text('{"epoch": 3}', "utf-8")
    outcome = run("finetune", "training", "--output", "tuned", *arguments)
    assert outcome.code in {1, 2}
    assert words in outcome.err
    assert not (tmp_path / "tuned").exists()
