"""The examples run as they stand, print what they should, and name what they need."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest
from tests.environments import extras_of, modules_of, required

EXAMPLES = Path(__file__).parent.parent / "examples"
OURS = {"langchain_trivec", "llama_index_trivec", "trivec"}
PRINTS = {
    "async_service.py": ["['tank', 'warranty', 'filter']"],
    "index_folder.py": ["6 added, 0 updated, 0 unchanged", "manual.pdf, page 2"],
    "langchain_retriever.py": ["Error E4: the pump runs dry. Fill the tank.", "'e4'"],
    "llama_index_query_engine.py": ["holds 1.8 litres [1].", "False None", "True weak_evidence"],
    "qdrant_server.py": ["Clean the filter of the machine every week."],
}


def test_every_example_is_run_and_listed():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PRINTS)
    listed = re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(PRINTS)


@pytest.mark.model
@pytest.mark.parametrize("name", sorted(PRINTS))
def test_an_example_runs_in_an_empty_folder(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    printed = capsys.readouterr().out
    places = [printed.find(text) for text in PRINTS[name]]
    assert -1 not in places, printed
    assert places == sorted(places)


@pytest.mark.model
def test_a_folder_indexed_again_is_unchanged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["index_folder.py"])
    for _ in range(2):
        runpy.run_path(str(EXAMPLES / "index_folder.py"), run_name="__main__")
    assert "0 added, 0 updated, 6 unchanged" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(PRINTS))
def test_what_an_example_needs_is_what_it_imports(name):
    tree = ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))
    needs = re.search(r"^Needs: (pip install '[^']+')", ast.get_docstring(tree), re.MULTILINE)
    assert needs, "the docstring says what to install"
    assert f"examples/{name}" in ast.get_docstring(tree)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
    installed = modules_of(required(extras_of(needs[1])))
    assert imported - installed - OURS <= set(sys.stdlib_module_names)
