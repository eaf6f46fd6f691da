"""What every message of an error keeps to: plain English, and no inverted "is no"."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    [*(ROOT / "src").rglob("*.py"), *(ROOT / "integrations").rglob("*.py")],
)
# "is not a folder", not "is no folder"; "there is no index" is plain
INVERTED = re.compile(
    r"(?<!there )\b(?:is|are) no\b(?! longer)|\bneeded is\b|\bnor could\b|\bchoose of\b"
)
FEWEST_MESSAGES = 300


def messages(path: Path) -> list[str]:
    """Return the texts of the errors that a file raises, with `...` for what is filled in."""
    texts = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            texts += [
                _plain(given)
                for given in node.exc.args
                if isinstance(given, (ast.Constant, ast.JoinedStr))
            ]
    return texts


def _plain(given: ast.expr) -> str:
    parts = given.values if isinstance(given, ast.JoinedStr) else [given]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in parts)


def test_all_messages_are_read():
    assert sum(len(messages(path)) for path in SOURCES) >= FEWEST_MESSAGES


@pytest.mark.parametrize("text", ["'x' is no folder; give one", "holds a, needed is b"])
def test_an_inverted_message_is_noticed(text):
    assert INVERTED.search(text)


@pytest.mark.parametrize("text", ["there is no index in ...", "... is no longer there"])
def test_a_plain_message_passes(text):
    assert not INVERTED.search(text)


def test_messages_are_plain():
    assert [text for path in SOURCES for text in messages(path) if INVERTED.search(text)] == []
