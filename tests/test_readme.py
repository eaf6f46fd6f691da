"""The code of the README files runs as it stands and prints what its comments say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

FILES = ("README.md", "README.zh-CN.md")


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", FILES)
def test_code_stands_within_the_first_forty_lines(repository, name):
    lines = (repository / name).read_text(encoding="utf-8").splitlines()
    assert "```python" in lines[:40]


def test_both_languages_show_the_same_code(repository):
    """The same but for the texts that are indexed and asked."""
    shapes = []
    for name in FILES:
        tree = ast.parse("".join(python_blocks((repository / name).read_text(encoding="utf-8"))))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
        shapes.append(ast.dump(tree))
    assert shapes[0] == shapes[1]


@pytest.mark.model
@pytest.mark.parametrize("name", FILES)
def test_the_code_prints_what_its_comments_say(repository, tmp_path, name):
    blocks = python_blocks((repository / name).read_text(encoding="utf-8"))
    assert blocks
    code = "\n".join(blocks)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    printed = run.stdout.splitlines()
    calls = [line for line in code.splitlines() if line.strip().startswith("print(")]
    assert len(printed) == len(calls)
    for call, line in zip(calls, printed, strict=True):
        _, mark, expected = call.rpartition("  # ")
        if mark:
            assert line == expected.strip()
