"""The installed program, end to end: a real model folder, real files, one process per command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trivec.testing import build_tiny_m3


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    build_tiny_m3(folder / "m3")
    docs = folder / "docs"
    docs.mkdir()
    docs.joinpath("river.md").write_text("# The river\n\nIt rises in the mountains.", "utf-8")
    docs.joinpath("企鹅.txt").write_bytes("企鹅不会飞，但是它们游得很快。".encode("gb18030"))
    return folder


def trivec(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("trivec")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_files_go_in_and_questions_find_them(place):
    indexed = trivec(place, "index", "docs", "--to", "kb", "--model", "m3", "--json")
    assert indexed.returncode == 0, indexed.stderr
    assert json.loads(indexed.stdout)["added"] == 2
    assert "read as GB18030" in indexed.stderr

    elsewhere = place / "docs"  # the model was given as a relative path
    found = trivec(elsewhere, "search", "../kb", "企鹅会飞吗？", "--arms", "bm25", "--json")
    assert found.returncode == 0, found.stderr
    assert [hit["source"] for hit in json.loads(found.stdout)["hits"]] == ["企鹅.txt"]

    again = trivec(place, "index", "docs", "--to", "kb", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["skipped"] == 2


def test_an_unknown_model_is_one_line(place):
    failed = trivec(place, "index", "docs", "--to", "other", "--model", "./no-such-model")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("levels", [121, 900, 9_000])
def test_a_record_that_nests_too_deep_is_left_out_and_the_index_opens_again(place, levels):
    folder = place / f"deep{levels}"
    folder.mkdir()
    deep = '{"a":' * levels + "1" + "}" * levels
    folder.joinpath("records.jsonl").write_text(
        f'{{"text": "a flat one"}}\n{{"text": "a deep one", "inner": {deep}}}\n', "utf-8"
    )
    indexed = trivec(place, "index", folder.name, "--to", f"kb{levels}", "--model", "m3")
    assert indexed.returncode == 3, indexed.stderr
    assert "levels" in indexed.stderr or "recursion" in indexed.stderr
    told = trivec(place, "info", f"kb{levels}", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["passages"] == 1
    asked = trivec(place, "search", f"kb{levels}", "flat", "--filter", deep)
    assert asked.returncode in (1, 2)
    assert "Traceback" not in asked.stderr


def test_a_damaged_index_is_checked_repaired_and_filled_again(place):
    indexed = trivec(place, "index", "docs", "--to", "damaged", "--model", "m3", "--json")
    assert indexed.returncode == 0, indexed.stderr
    sound = trivec(place, "check", "damaged", "--json")
    assert (sound.returncode, json.loads(sound.stdout)["points"]) == (0, 2)
    [status] = (place / "damaged").rglob("vector_storage-dense/vectors/status.dat")
    status.unlink()

    refused = trivec(place, "search", "damaged", "river")
    assert refused.returncode == 1
    assert f"trivec check {place / 'damaged'} --repair" in refused.stderr
    checked = trivec(place, "check", "damaged")
    assert checked.returncode == 3
    assert "status.dat is missing" in checked.stderr
    repaired = trivec(place, "check", "damaged", "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert "2 points kept, 2 encoded again, 0 lost" in repaired.stdout
    again = trivec(place, "index", "docs", "--to", "damaged", "--json")
    assert json.loads(again.stdout)["skipped"] == 2
    assert trivec(place, "check", "damaged").stdout == "damaged: sound, 2 points\n"
    assert trivec(place, "check", "no-such-place").returncode == 1
