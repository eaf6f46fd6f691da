"""``~`` is the home folder wherever Python takes a path, as it is on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trivec import Chunk, HybridIndex
from trivec._runtime.paths import user_path, user_paths
from trivec.errors import InputError
from trivec.index import check_index
from trivec.ingest import find_files, read, sync_folder
from trivec.stores import EdgeStore
from trivec.testing import FakeEncoder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "bees.txt").write_text("Bees make honey.")
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.chdir(tmp_path / "here")
    yield folder
    assert list((tmp_path / "here").iterdir()) == []  # nothing is called "~"


def test_an_index_below_home(home):
    with HybridIndex.open("~/kb", FakeEncoder()) as index:
        index.add([Chunk("a text")])
    assert (home / "kb" / "trivec.json").is_file()
    assert check_index("~/kb").points == 1
    with HybridIndex.open(Path("~") / "kb", FakeEncoder(), create=False) as index:
        assert index.count() == 1


def test_files_below_home(home):
    assert [path.name for path in find_files("~/docs")] == ["bees.txt"]
    assert list(read("~/docs/bees.txt"))
    encoder = FakeEncoder()
    with HybridIndex.open("~/kb", encoder) as index:
        sync_folder(index, "~/docs", root="~/docs", tokenizer=len)
        assert next(iter(index.chunks())).source == "bees.txt"


def test_a_name_of_nobody_is_a_name():
    assert user_path("path", "~$draft.docx") == Path("~$draft.docx")
    assert user_path("path", "./~") == Path("~")
    assert user_paths("paths", ["~", "a"]) == [Path.home(), Path("a")]


@pytest.mark.parametrize("path", [None, 1, b"kb", ["kb"], True, 1.5, "a\0b"])
def test_what_is_no_path(path):
    for use in (EdgeStore, check_index, lambda one: list(read(one))):
        with pytest.raises(InputError, match=r"path|location"):
            use(path)
    with pytest.raises(InputError):
        list(find_files([path]))
    with pytest.raises(InputError):
        HybridIndex.open(path, FakeEncoder())
