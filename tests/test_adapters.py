"""The adapters have the same shape, and what several need stands in the core."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from tests.adapters import ADAPTERS

each_pair = pytest.mark.parametrize(
    ("first", "second"), [*combinations(ADAPTERS.values(), 2)], ids=lambda folder: folder.name
)
LONGEST_SHARED = 5  # lines; a passage of six belongs into the core


def modules(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix in (".py", ".typed")}


def passages(path: Path, length: int) -> Iterator[tuple[str, ...]]:
    """Yield every run of so many lines; blank lines, imports and lone brackets do not count."""
    stripped = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [
        line
        for line in stripped
        if line and line.strip("()[]{},:") and not line.startswith(("import ", "from "))
    ]
    for start in range(len(lines) - length + 1):
        yield tuple(lines[start : start + length])


def passages_of(folder: Path) -> dict[tuple[str, ...], str]:
    """Return every passage of six lines, and the file that it stands in."""
    return {
        passage: path.name
        for path in folder.glob("*.py")
        for passage in passages(path, LONGEST_SHARED + 1)
    }


def test_there_are_adapters():
    assert {"langchain_trivec", "llama_index_trivec"} <= set(ADAPTERS)


@each_pair
def test_they_have_the_same_files(first, second):
    assert modules(first) == modules(second)


@each_pair
def test_no_passage_of_six_lines_stands_in_both(first, second):
    ours, theirs = passages_of(first), passages_of(second)
    shared = {(ours[passage], theirs[passage]): passage for passage in ours.keys() & theirs}
    assert not shared


@pytest.mark.parametrize(
    ("text", "count"), [("a\nb\n\nc\n)\nd\n", 2), ("a\nb\n", 0), ("import x\na\nb\nc\n", 1)]
)
def test_passages_are_counted_without_what_says_nothing(tmp_path, text, count):
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    assert len(list(passages(tmp_path / "m.py", 3))) == count
