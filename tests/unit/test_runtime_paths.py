"""``~`` is the home folder wherever Python takes a path, as it is on the command line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from trivec import Chunk, HybridIndex, TrivecError, load_encoder, load_reranker
from trivec._runtime.paths import user_path, user_paths
from trivec.encoders import FlagEncoder, OnnxEncoder
from trivec.errors import InputError
from trivec.evaluation import System, load_settings, read_dataset, save_settings
from trivec.index import check_index
from trivec.ingest import find_files, read, sync_folder
from trivec.rerankers import FlagReranker, OnnxReranker
from trivec.stores import EdgeStore
from trivec.testing import FakeEncoder
from trivec.training.data import TrainingExample, find_leaks, read_examples, write_examples


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


MODELS = {
    "load_encoder": load_encoder,
    "load_reranker": load_reranker,
    "FlagEncoder": lambda path: FlagEncoder(path).info,
    "OnnxEncoder": lambda path: OnnxEncoder(path).info,
    "FlagReranker": lambda path: FlagReranker(path).score("a", ["b"]),
    "OnnxReranker": lambda path: OnnxReranker(path).score("a", ["b"]),
}


@pytest.mark.parametrize("model", ["~nobody", "~nobody/model", "x" * 3000, Path("x" * 3000)])
@pytest.mark.parametrize("use", MODELS.values(), ids=MODELS)
def test_no_model_is_there(use, model):
    with suppress(TrivecError):
        use(model)  # some look at the folder only when they read it


OTHERS = {
    "check_index": check_index,
    "HybridIndex.open": lambda path: HybridIndex.open(path, FakeEncoder()),
    "read": lambda path: list(read(path)),
    "find_files": lambda path: list(find_files(path)),
    "read_dataset": read_dataset,
    "load_settings": load_settings,
    "save_settings": lambda path: save_settings(System(), path),
    "read_examples": lambda path: list(read_examples(path)),
    "write_examples": lambda path: write_examples(path, []),
    "find_leaks": find_leaks,
}


@pytest.mark.parametrize(
    "path", ["x" * 3000, "a/" * 3000, Path("x" * 3000)], ids=["x", "a/", "Path"]
)
@pytest.mark.parametrize("use", OTHERS.values(), ids=OTHERS)
def test_a_path_that_is_too_long(use, path):
    with pytest.raises(InputError, match="longer than a path of this system can be"):
        use(path)


def test_datasets_and_settings_below_home(home):
    save_settings(System(), "~/settings.json")
    assert load_settings("~/settings.json") == System()
    assert write_examples("~/train.jsonl", [TrainingExample(query="a", pos=("b",))]) == 1
    assert [one.query for one in read_examples(home / "train.jsonl")] == ["a"]
    (home / "asked.csv").write_text("question,passage\na,b\n")
    assert len(read_dataset("~/asked.csv").questions) == 1


@pytest.mark.parametrize("path", [None, 1, b"kb", ["kb"], True, 1.5, "a\0b"])
def test_what_is_no_path(path):
    for use in (EdgeStore, check_index, lambda one: list(read(one))):
        with pytest.raises(InputError, match=r"path|location"):
            use(path)
    with pytest.raises(InputError):
        list(find_files([path]))
    with pytest.raises(InputError):
        HybridIndex.open(path, FakeEncoder())
