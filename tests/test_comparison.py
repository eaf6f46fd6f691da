"""The comparison with others: every cell says what it rests on, and versions are those compared."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPARED_HERE = ("langchain-qdrant", "llama-index-vector-stores-qdrant", "FlagEmbedding")
"""Peers that tests and benchmarks run beside trivec."""

both_languages = pytest.mark.parametrize("folder", ["docs", "docs/zh"])


def rows(folder: str) -> list[list[str]]:
    text = (ROOT / folder / "comparison.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@both_languages
def test_each_peer_has_its_version_and_each_cell_a_link(folder):
    head, _, *body = rows(folder)
    for cell in head[2:]:
        assert re.fullmatch(r"\[.+ ([\d.]+)\]\(https://pypi\.org/project/.+/\1/\)", cell), cell
    bare = [cell for row in body for cell in row[1:] if cell and not re.search(r"\]\(|\]\[", cell)]
    assert bare == []


@both_languages
def test_each_name_of_a_link_has_its_address(folder):
    text = (ROOT / folder / "comparison.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\]\[([a-z0-9-]+)\]", text))
    assert used == set(re.findall(r"^\[([a-z0-9-]+)\]: https://\S+$", text, re.MULTILINE))


@both_languages
@pytest.mark.parametrize("peer", COMPARED_HERE)
def test_the_version_of_a_peer_is_the_one_that_is_run_here(folder, peer):
    head = " ".join(rows(folder)[0])
    assert f"https://pypi.org/project/{peer}/{version(peer)}/" in head
