"""The names that the adapter promises."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import langchain_trivec


def test_all_is_sorted():
    assert sorted(set(langchain_trivec.__all__)) == langchain_trivec.__all__


@pytest.mark.parametrize("name", langchain_trivec.__all__)
def test_a_name_is_there_and_so_are_its_words(name, repository):
    value = getattr(langchain_trivec, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    methods = inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else []
    bare = [
        method
        for method, function in methods
        if not method.startswith("_")
        and function.__module__.startswith("langchain_trivec")
        and not inspect.getdoc(function)
    ]
    assert not bare
    page = (repository / "docs" / "moving-from-langchain-qdrant.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page


def test_without_langchain_the_error_says_what_to_install():
    program = """
import sys
sys.modules["langchain_core"] = None
import langchain_trivec
try:
    langchain_trivec.TrivecVectorStore
except ImportError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'trivec[langchain]'" in run.stdout


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'QdrantVectorStore'"):
        langchain_trivec.QdrantVectorStore  # noqa: B018
