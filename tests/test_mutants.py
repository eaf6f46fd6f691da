"""What the mutation run may leave alive still exists; a stale entry excuses nothing."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest
from scripts.mutants import NEAREST, listed_groups

ROOT = Path(__file__).parents[1]
CHANGES = [
    (function, change)
    for group in listed_groups()
    for function, changes in group.mutants.items()
    for change in changes
]


@pytest.mark.parametrize(("function", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_a_listed_survivor_is_a_line_of_its_function(function, change):
    module, _, name = function.rpartition(".")
    lines = inspect.getsource(getattr(import_module(module), name)).splitlines()
    removed = [line[2:] for line in change.splitlines() if line.startswith("- ")]

    assert removed
    assert set(removed) <= {line.strip() for line in lines}


@pytest.mark.parametrize("name", NEAREST)
def test_a_module_and_its_nearest_tests_are_where_the_run_looks(name):
    path, tests = NEAREST[name]

    assert (ROOT / "src/trivec" / path).is_file()
    assert [test for test in tests if not (ROOT / "tests" / test).is_file()] == []


def test_the_table_of_scores_names_modules_that_exist():
    table = (ROOT / "tests/mutants/README.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]

    assert rows
    assert [path for path in rows if not (ROOT / "src/trivec" / path).is_file()] == []
