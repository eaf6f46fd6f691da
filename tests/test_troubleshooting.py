"""Every public error has a section of docs/troubleshooting.md, and says its address."""

from __future__ import annotations

import copy
import pickle
import re
import traceback
from pathlib import Path

import pytest

from trivec import errors
from trivec.errors import EXPLAINED, InputError, MissingDependencyError, TrivecError

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "troubleshooting.md", DOCS / "zh" / "troubleshooting.md"]
TREE = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_the_page_and_the_tree_have_the_same_names(page):
    sections = re.findall(r"^## (\w+Error)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert sections == sorted(sections, key=sections.index)  # each once
    assert set(sections) == {error.__name__ for error in TREE}


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_a_traceback_ends_with_the_address(error):
    raised = error.__new__(error, "what was given")
    shown = traceback.format_exception_only(raised)
    assert shown[-1] == f"See {EXPLAINED}#{error.__name__.lower()}\n"
    assert "See" not in str(raised)


def test_an_error_of_a_user_leads_to_the_page_of_its_nearest_public_class():
    class MyError(InputError):
        pass

    assert MyError("x").address == f"{EXPLAINED}#inputerror"


def pickled(error: TrivecError) -> TrivecError:
    return pickle.loads(pickle.dumps(error))  # noqa: S301  # written here


@pytest.mark.parametrize("move", [copy.copy, pickled])
def test_an_error_travels_between_processes_whole(move):
    error = MissingDependencyError("typer", "cli")
    moved = move(error)
    assert (type(moved), str(moved)) == (type(error), str(error))
    assert (moved.package, moved.extra, moved.__notes__) == ("typer", "cli", error.__notes__)
    assert isinstance(moved, TrivecError)
