"""``trivec sync``, ``delete``, ``copy`` and ``add-arm`` as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.reading import Reading

from trivec import HybridIndex, IndexConfig
from trivec.cli.wording import in_options
from trivec.errors import ModelError
from trivec.questions import QuestionIndex


@pytest.fixture
def run(command_line, monkeypatch):
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: Reading(name=model))
    return command_line


@pytest.fixture
def docs(tmp_path) -> Path:
    folder = tmp_path / "docs"
    folder.joinpath("sub").mkdir(parents=True)
    folder.joinpath("bees.md").write_text("Bees make honey.", "utf-8")
    folder.joinpath("sub/tea.txt").write_text("Green tea is a drink.", "utf-8")
    folder.joinpath("people.csv").write_text("id,text\n1,Ada\n2,Alan\n", "utf-8")
    folder.joinpath("products.csv").write_text("id,text\n1,bicycle\n2,tent\n", "utf-8")
    return folder


@pytest.fixture
def kb(run, docs, tmp_path) -> Path:
    place = tmp_path / "kb"
    outcome = run("sync", place, docs, "--model", "mini")
    assert (outcome.code, outcome.err) == (0, "")
    assert "6 added" in outcome.out
    return place


@pytest.fixture
def without_model(monkeypatch):
    """A command that loads the model fails."""

    def fail(*_, **__):
        raise ModelError("no model today")

    monkeypatch.setattr("trivec.loading.load_encoder", fail)


def report(outcome) -> dict:
    return json.loads(outcome.out)


def sources(run, place) -> set[str]:
    found = report(run("search", place, "bees tea Ada Alan bicycle tent", "--json", "-k", 99))
    return {hit["source"] for hit in found["hits"]}


def test_sync_forgets_moves_and_says_so(run, kb, docs):
    docs.joinpath("bees.md").unlink()
    docs.joinpath("sub").rename(docs / "moved")
    planned = run("sync", kb, docs, "--dry-run")
    assert planned.code == 0
    assert "nothing was written; it would be 1 added, 0 updated, 4 unchanged, 2 deleted" in (
        planned.out
    )
    assert set(planned.err.splitlines()) == {
        "would forget: bees.md",
        "would forget: sub/tea.txt",
    }
    assert "bees.md" in sources(run, kb)
    done = run("sync", kb, docs)
    assert "1 added, 0 updated, 4 unchanged, 2 deleted" in done.out
    assert "1 moved without encoding" in done.out
    assert sources(run, kb) == {"moved/tea.txt", "people.csv", "products.csv"}
    again = report(run("sync", kb, docs, "--json"))
    assert (again["skipped"], again["added"], again["gone"], again["files"]) == (5, 0, [], 3)
    assert again["root"] == str(docs)


@pytest.mark.parametrize("command", ["sync", "index"])
def test_from_any_working_directory(run, kb, docs, monkeypatch, command):
    for place, path in ((docs, "."), (docs / "sub", ".."), (docs.parent, "docs")):
        monkeypatch.chdir(place)
        order = ("sync", kb, path) if command == "sync" else ("index", path, "--to", kb)
        assert report(run(*order, "--json"))["skipped"] == 6


def test_index_forgets_nothing(run, kb, docs):
    docs.joinpath("bees.md").unlink()
    outcome = run("index", docs, "--to", kb)
    assert "6 added" not in outcome.out
    assert "5 unchanged, 0 deleted" in outcome.out
    assert "bees.md" in sources(run, kb)


def test_the_status_says_what_could_not_be_done(run, kb, docs):
    docs.joinpath("bees.md").write_bytes(b"\x81\xff\x00\xfe")
    outcome = run("sync", kb, docs)
    assert outcome.code == 3
    assert f"left out: {docs / 'bees.md'}: " in outcome.err
    assert "bees.md" in sources(run, kb)
    strict = run("sync", kb, docs, "--strict")
    assert strict.code == 1
    assert strict.err.splitlines()[-1].startswith("error: 1 left out, the rest is stored")


def test_a_collision_is_named_and_shows_in_the_status(run, kb, docs):
    docs.joinpath("people.csv").write_text("id,text\n1,Ada\n1,Alan\n", "utf-8")
    outcome = run("sync", kb, docs)
    assert outcome.code == 3
    assert "refused: 1: the id '1' of source 'people.csv' was given twice" in outcome.err


def test_a_folder_that_is_empty_forgets_only_when_told(run, kb, docs):
    for path in (*docs.glob("*.*"), docs / "sub/tea.txt"):
        path.unlink()
    outcome = run("sync", kb, docs)
    assert outcome.code == 3
    assert "kept, though its file is missing: bees.md" in outcome.err
    assert "--allow-empty" in outcome.err
    assert "6 deleted" in run("sync", kb, docs, "--allow-empty").out


def test_a_root_that_moved_is_named_by_option(run, kb, docs):
    moved = docs.rename(docs.parent / "papers")
    outcome = run("sync", kb, moved)
    assert outcome.code == 1
    assert "(--root)" in outcome.err
    assert "root=" not in outcome.err
    assert "6 unchanged" in run("sync", kb, moved, "--root", moved).out


def test_a_dry_run_makes_no_index(run, docs, tmp_path):
    outcome = run("sync", tmp_path / "new", docs, "--dry-run")
    assert outcome.code == 1
    assert "there is no index" in outcome.err
    assert not tmp_path.joinpath("new").exists()


def test_delete_by_id_source_and_filter(run, kb, without_model):
    assert report(run("delete", kb, "--id", "1", "--dry-run", "--json"))["deleted"] == 2
    narrowed = run("delete", kb, "--id", "1", "--source", "people.csv")
    assert narrowed.out == f"{kb}: 1 deleted\n"
    assert run("delete", kb, "--source", "bees.md").out == f"{kb}: 1 deleted\n"
    assert report(run("delete", kb, "--filter", '{"row": 3}', "--json"))["deleted"] == 2
    none = run("delete", kb, "--id", "nobody")
    assert (none.code, none.err) == (0, "note: no passage matches\n")
    assert report(run("info", kb, "--json"))["passages"] == 2


def test_delete_wants_to_know_what(run, kb):
    outcome = run("delete", kb)
    assert outcome.code == 2
    assert "--id, --source or --filter" in " ".join(outcome.err.replace("│", " ").split())
    assert report(run("info", kb, "--json"))["passages"] == 6


def test_copy_takes_everything_without_a_model(run, kb, docs, tmp_path, without_model):
    with (
        HybridIndex.open(kb, Reading(name="mini"), create=False) as index,
        QuestionIndex.open(index) as questions,
    ):
        questions.add_feedback("who?", "1", "good", source="people.csv")
    target = tmp_path / "copy"
    outcome = run("copy", kb, target)
    assert outcome.out == f"{target}: 6 passages and 1 questions and verdicts copied from {kb}\n"
    assert report(run("copy", kb, target, "--json"))["copied"] == 6
    one, two = (report(run("info", place, "--json")) for place in (kb, target))
    assert one["passages"] == two["passages"] == 6
    assert one["schema"] == two["schema"]


def test_a_copy_mends_ids_that_were_one_for_all_sources(run, docs, tmp_path):
    old = tmp_path / "old"
    config = IndexConfig(scoped_ids=False)
    HybridIndex.open(old, Reading(name="mini"), config=config).close()
    outcome = run("sync", old, docs)
    assert outcome.code == 3
    assert "is also that of a passage of source 'people.csv'" in outcome.err
    assert run("copy", old, tmp_path / "new").code == 0
    mended = run("sync", tmp_path / "new", docs)
    assert mended.code == 0
    assert "2 added, 0 updated, 4 unchanged" in mended.out


def test_a_copy_onto_another_models_index(run, kb, docs, tmp_path):
    run("sync", tmp_path / "other", docs, "--model", "other")
    outcome = run("copy", kb, tmp_path / "other")
    assert outcome.code == 1
    assert "whose vectors are not comparable" in outcome.err


def test_add_arm(run, kb):
    assert "colbert" not in report(run("info", kb, "--json"))["schema"]["vectors"]
    missing = run("search", kb, "honey", "--colbert", "rescore")
    assert missing.code == 1
    assert run("add-arm", kb, "colbert").out == f"{kb}: 6 passages have colbert vectors now\n"
    assert run("search", kb, "honey", "--colbert", "rescore").code == 0
    assert report(run("add-arm", kb, "colbert", "--json"))["filled"] == 0
    assert run("add-arm", kb, "splade").code == 1


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("overlap=9; below max_tokens=8", "--overlap 9; below --chunk-tokens 8"),
        ("give overwrite=True, or another folder", "give --overwrite, or another folder"),
        ("; mixed_precision=True searches it", "; --mixed-precision searches it"),
        ("text_columns=('a',); give names", "--text-column ('a',); give names"),
        ("device='tpu'; allowed: cpu", "--device tpu; allowed: cpu"),
        ("say which with source=...", "say which with --source"),
        ("https://a.b/?k=1 failed", "https://a.b/?k=1 failed"),
        ("or index with IndexConfig(arms=...)", "or index with IndexConfig(arms=...)"),
        ("arms a are there; leave them out, or index with IndexConfig(arms=...)", "--arms"),
    ],
)
def test_messages_name_the_options(said, shown):
    assert shown in in_options(said)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("search", "KB", "honey", "--colbert", "rescore"), "--arms"),
        (("sync", "KB", "DOCS", "--colbert"), "trivec add-arm PLACE ARM"),
        (("sync", "KB", "DOCS", "--overlap", "256"), "--overlap 256"),
        (("sync", "KB", "DOCS", "--encoding", "klingon"), "--encoding klingon"),
        (("feedback", "KB", "who?", "--good", "1"), "--source"),
    ],
)
def test_no_error_speaks_of_python(run, kb, docs, arguments, option):
    named = {"KB": kb, "DOCS": docs}
    outcome = run(*(named.get(argument, argument) for argument in arguments))
    assert outcome.code == 1
    assert option in outcome.err
    for python in ("IndexConfig", "=...", "()", "=True"):
        assert python not in outcome.err
