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
