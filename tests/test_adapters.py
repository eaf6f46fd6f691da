"""The two adapters have the same shape, and what both need stands in the core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = (
    "integrations/langchain/langchain_trivec",
    "integrations/llama_index/llama_index_trivec",
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


def test_they_have_the_same_files(repository):
    first, second = (modules(repository / folder) for folder in FOLDERS)
    assert first == second


def test_no_passage_of_six_lines_stands_in_both(repository):
    first, second = (
        {
            passage: path.name
            for path in (repository / folder).glob("*.py")
            for passage in passages(path, LONGEST_SHARED + 1)
        }
        for folder in FOLDERS
    )
    shared = {(first[passage], second[passage]): passage for passage in first.keys() & second}
    assert not shared


@pytest.mark.parametrize(
    ("text", "count"), [("a\nb\n\nc\n)\nd\n", 2), ("a\nb\n", 0), ("import x\na\nb\nc\n", 1)]
)
def test_passages_are_counted_without_what_says_nothing(tmp_path, text, count):
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    assert len(list(passages(tmp_path / "m.py", 3))) == count
