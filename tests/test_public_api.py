"""The names that trivec promises, and that each says what it is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import trivec

NAMES = [name for name in trivec.__all__ if not name.startswith("__")]


def test_all_is_sorted_and_has_no_twins():
    assert sorted(set(trivec.__all__)) == list(trivec.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there_and_documented(name):
    value = getattr(trivec, name)
    assert value.__name__ == name
    documentation = inspect.getdoc(value)
    assert documentation
    assert not documentation.startswith(f"{name}("), "dataclass wrote this docstring, not we"


@pytest.mark.parametrize("name", NAMES)
def test_public_methods_are_documented(name):
    value = getattr(trivec, name)
    if not inspect.isclass(value):
        return
    bare = [
        method
        for method, function in inspect.getmembers(value, inspect.isfunction)
        if not method.startswith("_")
        and function.__module__.startswith("trivec")
        and not inspect.getdoc(function)
    ]
    assert not bare


def test_the_documents_list_exactly_the_public_names(repository):
    text = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE) != []
    assert sorted(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == sorted(NAMES)


def test_every_error_of_the_tree_is_public():
    from trivec import errors

    assert set(errors.__all__) <= set(trivec.__all__)


def test_every_module_says_what_is_public(repository):
    package = repository / "src" / "trivec"
    silent = [
        path.relative_to(package)
        for path in package.rglob("*.py")
        if path.read_text(encoding="utf-8").strip()
        and "\n__all__ = [" not in path.read_text(encoding="utf-8")
        and "\n__all__: " not in path.read_text(encoding="utf-8")
    ]
    assert not silent


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Hybrid'"):
        trivec.Hybrid  # noqa: B018


def test_dir_and_star_import_agree_with_all():
    program = "import trivec; names = dir(trivec); from trivec import *; print(names)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(trivec.__all__) <= set(re.findall(r"'(\w+)'", run.stdout))


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert trivec.__version__ == version("trivec")
