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
ASKING = [text for text in TEXTS if "OpenAIChat.connect(" in text.read_text(encoding="utf-8")]
HERE = {"REAL = False": "REAL = True", '"BAAI/bge-m3"': '"mini"'}
"""What the settings of real models become where only the chat model is served."""

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


def ran(cells: nbformat.NotebookNode) -> bool:
    """Run all cells; return whether each was."""
    client = NotebookClient(
        cells,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(COOKBOOKS)}},
    )
    client.execute()
    return all(cell.execution_count for cell in client.nb.cells if cell.cell_type == "code")


@pytest.fixture
def kernel(monkeypatch):
    """Let the notebook's process find the packages that are under test, and no hub."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return monkeypatch


@pytest.mark.model
@pytest.mark.usefixtures("kernel")
@each_cookbook
def test_it_runs(text):
    assert ran(notebook(text))


def scripted_chat(text: Path):
    """Return the chat model that a cookbook scripts for itself: what its settings come to."""
    names: dict[str, object] = {"__name__": "settings"}
    for node in ast.parse(text.read_text(encoding="utf-8")).body:
        exec(compile(ast.Module([node], []), str(text), "exec"), names)  # noqa: S102
        if isinstance(node, ast.If) and "chat" in names:
            break
    return names["chat"]


@pytest.mark.model
@pytest.mark.parametrize("text", ASKING, ids=lambda path: path.stem)
def test_it_runs_with_a_chat_model_that_is_served(text, kernel, openai_server):
    """The settings of real models hold: only the address and the model's size are others."""
    chat = scripted_chat(text)
    openai_server.otherwise = lambda body: chat.chat(body["messages"]).text
    kernel.setenv("OPENAI_BASE_URL", openai_server.base_url)
    kernel.setenv("OPENAI_API_KEY", "sk-test")
    cells = notebook(text)
    for cell in cells.cells:
        for written, here in HERE.items():
            cell.source = cell.source.replace(written, here)
    assert ran(cells)
    assert openai_server.requests
