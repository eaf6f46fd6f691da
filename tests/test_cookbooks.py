"""The cookbooks run from the first cell to the last, and are in step with their text."""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from packaging.requirements import Requirement
from scripts.pair_cookbooks import COOKBOOKS, notebook_of
from tests.environments import modules_of, required

TEXTS = sorted(COOKBOOKS.glob("*.py"))
TIMEOUT = 240  # seconds for a cell on a busy machine

each_cookbook = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def notebook(text: Path) -> nbformat.NotebookNode:
    return nbformat.read(text.with_suffix(".ipynb"), as_version=4)


def test_there_is_one_for_each_framework_and_one_for_the_core():
    stems = {path.stem for path in TEXTS}
    assert stems >= {"00_core", "02_langchain", "03_llama_index"}
    assert stems == {path.stem for path in COOKBOOKS.glob("*.ipynb")}


@each_cookbook
def test_the_notebook_is_in_step_with_its_text(text):
    assert text.with_suffix(".ipynb").read_text(encoding="utf-8") == notebook_of(text), (
        "run: make cookbooks"
    )


@each_cookbook
def test_a_notebook_holds_no_outputs(text):
    code = [cell for cell in notebook(text).cells if cell.cell_type == "code"]
    assert code
    assert not [cell for cell in code if cell.outputs or cell.execution_count]


@each_cookbook
def test_it_says_what_one_learns_needs_and_how_long_it_takes(text):
    cells = notebook(text).cells
    first = cells[0].source
    assert [word for word in ("You learn", "You need", "Time") if f"**{word}**" not in first] == []
    settings = [
        cell.source for cell in cells if re.search(r"^REAL = False$", cell.source, re.MULTILINE)
    ]
    assert len(settings) == 1
    assert re.search(r"^assert ", cells[-1].source, re.MULTILINE)


@each_cookbook
def test_the_install_line_names_what_the_cells_import(text):
    first = notebook(text).cells[0].source
    (command,) = re.findall(r"`(pip install [^`]+)`", first)
    tree = ast.parse(text.read_text(encoding="utf-8"))
    imported = {
        node.module.split(".")[0]
        for node in tree.body  # what a real model needs is imported below an `if`
        if isinstance(node, ast.ImportFrom) and node.module
    }
    trivec, *others = shlex.split(command)[2:]
    installed = modules_of(required(Requirement(trivec).extras, others))
    assert imported - installed - {"langchain_trivec", "llama_index_trivec", "trivec"} <= set(
        sys.stdlib_module_names
    )
    if '"handbook"' in text.read_text(encoding="utf-8"):
        assert "pypdfium2" in installed  # it is a PDF


@pytest.mark.model
@each_cookbook
def test_it_runs(text, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client = NotebookClient(
        notebook(text),
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(COOKBOOKS)}},
    )
    client.execute()
    assert all(cell.execution_count for cell in client.nb.cells if cell.cell_type == "code")
