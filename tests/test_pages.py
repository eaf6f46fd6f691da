"""The pages of docs/: every block runs, in its page's order, and prints what its comments say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import scenes

from trivec._runtime.cache import cache_folder

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
INSTALLS = re.compile(r"^pip install .*\n", flags=re.MULTILINE)
MOST_SKIPS = 5
# runs the blocks of a page in one process, as one notebook would
DRIVER = """
import json, subprocess, sys
names = {"__name__": "__main__"}
for language, code in json.load(open("blocks.json", encoding="utf-8")):
    if language == "bash":
        subprocess.run(["bash", "-euc", code], check=True)
    else:
        exec(compile(code, "<block>", "exec"), names)
    sys.stdout.flush()
    print("\\x1e", flush=True)
"""


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str
    code: str

    @property
    def said(self) -> list[str]:
        """What its ``print`` lines say that they print: at the line's end, or in the next one."""
        lines = self.code.splitlines()
        said = []
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if re.match(r"\s*print\(", line):
                comment = line.rpartition(")  # ")[2] if ")  # " in line else ""
                said.append(comment or after.removeprefix("# ") * after.startswith("# "))
        return [comment for comment in said if comment]


def blocks_of(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, INSTALLS.sub("", code)) for language, code in found]


def told(code: str) -> bool:
    return any(code.startswith(start) for start in scenes.SKIPPED)


WITH_BLOCKS = [page for page in PAGES if any(not told(b.code) for b in blocks_of(page))]


def test_few_blocks_are_skipped_and_each_skip_is_used():
    code = [block.code for page in PAGES for block in blocks_of(page)]
    used = [start for start in scenes.SKIPPED if any(text.startswith(start) for text in code)]
    assert used == list(scenes.SKIPPED)
    assert len(used) <= MOST_SKIPS
    assert all(scenes.SKIPPED.values())


def test_a_scene_belongs_to_a_page():
    assert set(scenes.SCENES) <= {page.stem for page in WITH_BLOCKS}


@pytest.mark.model
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order(page, tmp_path, openai_server, monkeypatch):
    openai_server.otherwise = scenes.reply
    blocks = [block for block in blocks_of(page) if block.code and not told(block.code)]
    scene = Block("python", scenes.SCENES.get(page.stem, ""))
    lines = [
        (block.language, scenes.offline(block.code, openai_server.base_url))
        for block in [scene, *blocks]
    ]
    (tmp_path / "blocks.json").write_text(json.dumps(lines), encoding="utf-8")
    monkeypatch.setenv("TRIVEC_CACHE_DIR", str(cache_folder()))  # before HOME moves
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    run = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    printed = run.stdout.split("\x1e\n")[1:]
    assert run.returncode == 0, f"block {len(printed)}: {run.stderr[-2000:]}"
    for block, output in zip(blocks, printed, strict=False):
        if block.language == "python":
            shown = output.splitlines()
            assert [line for line in block.said if line not in shown] == [], output
