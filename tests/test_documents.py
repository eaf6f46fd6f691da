"""The pages of docs/, cookbooks/ and examples/: short sentences, links that lead on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.prose import long_sentences, sentences

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "cookbooks" / "README.md",
    ROOT / "examples" / "README.md",
]

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)


@each_page
def test_sentences_are_short(page):
    text = page.read_text(encoding="utf-8")
    assert sentences(text)
    assert long_sentences(text) == []


@each_page
def test_links_lead_to_files_that_exist(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    here = [target for target in targets if not target.startswith("https://")]
    assert [target for target in here if not (page.parent / target).exists()] == []


def test_the_length_of_a_sentence_is_noticed():
    words = " ".join(["word"] * 21)
    assert long_sentences(f"Short one. {words}.") == [f"{words}."]
    assert long_sentences(f"# Title\n\n- {words}\n- one\n") == [words]
    assert long_sentences(f"| a | {words} |\n") == [words]


def test_code_links_and_tables_count_as_a_reader_counts():
    words = " ".join(["word"] * 18)
    assert long_sentences(f"{words} `a b c d e f`.") == []
    assert long_sentences(f"{words} [one](https://example.org/a b c).") == []
    assert long_sentences(f"```\n{words} {words}\n```\n") == []
    assert long_sentences(f"| {words} | {words} |\n") == []
