"""CONTRIBUTING names files that exist, few enough of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TASKS = {
    "add a store",
    "add an arm",
    "add a fusion",
    "add a reranker",
    "add an adapter",
    "see where a citation is checked",
}
MOST_FILES = 3


def rows() -> dict[str, tuple[list[str], list[str]]]:
    """Return the files to open and the suites of each task."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([^|`]+) \| (`[^|]+) \| (`[^|]+) \|$", text, flags=re.MULTILINE)
    paths = re.compile(r"`([\w./-]+\.\w+)`")
    return {task: (paths.findall(opened), paths.findall(suite)) for task, opened, suite in table}


def test_every_task_has_a_row():
    assert set(rows()) == TASKS


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_row_names_few_files_that_exist(task):
    opened, suites = rows()[task]
    assert 1 <= len(opened) <= MOST_FILES
    assert suites
    assert [path for path in (*opened, *suites) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("name", ["PLACES", "Store", "Reranker"])
def test_what_a_row_names_is_in_its_file(name):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(rf"`([\w./-]+\.py)` \(`{name}`\)", text)
    assert files
    assert all(name in (ROOT / path).read_text(encoding="utf-8") for path in files)
