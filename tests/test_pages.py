"""The pages of docs/: every block runs, in its page's order, and prints what its comments say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests import scenes
from tests.environments import Environment, Install, build, installs
from tests.openai_server import OpenAIServer

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
blocks = json.load(open("blocks.json", encoding="utf-8"))
for language, code in blocks:
    if language == "bash":
        for held in list(names.values()):
            if type(held).__name__ in ("HybridIndex", "QuestionIndex"):
                held.close()  # which belongs to one process at a time
        subprocess.run(["bash", "-euc", code], check=True)
        exec(blocks[0][1], names)  # the scene, as the next block finds it
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


def runs(block: Block) -> bool:
    return bool(block.code) and not told(block.code)


def needs(page: Path) -> Install:
    """Return what a page names before its last block that runs, and ``mini``.

    ``mini`` stands for BGE-M3, so that a page which names ``onnx`` or ``flag`` gets it too.
    """
    text = page.read_text(encoding="utf-8")
    blocks = [
        match.end()
        for match in BLOCK.finditer(text)
        if runs(Block(match[1], INSTALLS.sub("", match[2])))
    ]
    named = [install for place, install in installs(text) if place < max(blocks)]
    return Install(
        frozenset({"mini"}).union(*(install.extras for install in named)),
        frozenset().union(*(install.others for install in named)),
    )


def fault(page: Path, environment: Environment, place: Path, server: OpenAIServer) -> str:
    """Run the blocks of a page in a folder; return what went wrong, or nothing."""
    server.otherwise = scenes.reply
    blocks = [block for block in blocks_of(page) if runs(block)]
    scene = Block("python", scenes.SCENES.get(page.stem, ""))
    lines = [
        (block.language, scenes.offline(block.code, server.base_url)) for block in [scene, *blocks]
    ]
    (place / "blocks.json").write_text(json.dumps(lines), encoding="utf-8")
    variables = {
        "TRIVEC_CACHE_DIR": str(cache_folder()),
        "HOME": str(place),
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": "none",
    }
    run = environment.run(["python", "-c", DRIVER], place, variables)
    printed = run.stdout.split("\x1e\n")[1:]
    if run.returncode:
        return f"block {len(printed)}: {run.stderr[-2000:]}"
    for block, output in zip(blocks, printed, strict=False):
        if block.language == "python":
            shown = output.splitlines()
            # a print with end="" may stand before it in its line
            missing = [
                said for said in block.said if not any(line.endswith(said) for line in shown)
            ]
            if missing:
                return f"{missing} is not in {output}"
    return ""


WITH_BLOCKS = [page for page in PAGES if any(runs(block) for block in blocks_of(page))]


def test_few_blocks_are_skipped_and_each_skip_is_used():
    code = [block.code for page in PAGES for block in blocks_of(page)]
    used = [start for start in scenes.SKIPPED if any(text.startswith(start) for text in code)]
    assert used == list(scenes.SKIPPED)
    assert len(used) <= MOST_SKIPS
    assert all(scenes.SKIPPED.values())


def test_a_scene_belongs_to_a_page():
    assert set(scenes.SCENES) <= {page.stem for page in WITH_BLOCKS}


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.stem)
def test_a_page_with_blocks_says_what_to_install(page):
    first = min(place for place, _ in installs(page.read_text(encoding="utf-8")))
    block = BLOCK.search(page.read_text(encoding="utf-8"))
    assert block
    assert first < block.end()


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Return a function from what is installed to the environment that holds it and no more."""

    @cache
    def environment(install: Install) -> Environment:
        place = tmp_path_factory.mktemp("environment") / "venv"
        return build(place, install.extras, install.others)

    return environment


@pytest.mark.model
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order_with_what_it_names(
    page, environments, tmp_path, openai_server
):
    assert fault(page, environments(needs(page)), tmp_path, openai_server) == ""
