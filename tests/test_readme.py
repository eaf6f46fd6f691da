"""The README files: every block runs alone, every link leads somewhere, every sentence is short."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests.environments import Environment, build, extras_of
from tests.prose import long_sentences

ROOT = Path(__file__).parent.parent
FILES = ("README.md", "README.zh-CN.md")
LONGEST_WAY_TO_A_RESULT = 60  # lines
PREPARATION = re.compile(r"^(?:pip install|export) .*\n", flags=re.MULTILINE)
COMMANDS = {
    "python": ("python", "-W", "error::ResourceWarning", "-c"),
    "bash": ("bash", "-euc"),
}
OTHERWISE_RUN = "trivec finetune"  # tests/integration/test_training_road.py runs this block
ANSWER = "The baobab fruit has three times the vitamin C of an orange [1]."


@dataclass(frozen=True)
class Block:
    """A block of code, and the extras that the last ``pip install`` before it names."""

    language: str
    code: str
    extras: frozenset[str]


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def blocks_of(name: str) -> tuple[Block, ...]:
    """Return what can be run; a block that installs, or sets a key, prepares the next one."""
    blocks, extras = [], frozenset()
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(name), flags=re.MULTILINE | re.DOTALL)
    for language, code in fenced:
        if language == "bash" and "pip install" in code:
            extras = extras_of(code)
        program = re.sub(PREPARATION, "", code) if language == "bash" else code
        if program:
            blocks.append(Block(language, program, extras))
    return tuple(blocks)


def distinct_blocks() -> dict[str, Block]:
    """Return each block once, by a name; one that is the same in both languages runs once."""
    blocks: dict[Block, str] = {}
    for name in FILES:
        for number, block in enumerate(blocks_of(name)):
            if OTHERWISE_RUN in block.code:
                continue
            blocks.setdefault(block, f"{name}-{number}")
    return {label: block for block, label in blocks.items()}


def expected(code: str) -> list[str | None]:
    """Return what each ``print`` of a block says that it prints; None: it does not say."""
    calls = [line for line in code.splitlines() if line.strip().startswith("print(")]
    return [line.rpartition("  # ")[2] if "  # " in line else None for line in calls]


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Return a function from extras to the environment that holds them."""

    @cache
    def environment(extras: frozenset[str]) -> Environment:
        return build(tmp_path_factory.mktemp("environment") / "venv", extras)

    return environment


@pytest.mark.model
@pytest.mark.parametrize("label", distinct_blocks())
def test_a_block_runs_alone_and_prints_what_its_comments_say(
    label, environments, tmp_path, openai_server
):
    block = distinct_blocks()[label]
    openai_server.otherwise = lambda _: ANSWER
    run = environments(block.extras).run(
        [*COMMANDS[block.language], block.code],
        tmp_path,
        {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_API_KEY": "sk-test"},
    )
    assert run.returncode == 0, run.stderr
    if block.language == "bash":
        assert "baobab.md" in run.stdout
        return
    printed, said = run.stdout.splitlines(), expected(block.code)
    assert len(printed) == len(said)
    assert any(said)
    compared = [
        (line, comment) for line, comment in zip(printed, said, strict=True) if comment is not None
    ]
    assert [line for line, _ in compared] == [comment for _, comment in compared]


def test_both_languages_show_the_same_blocks():
    """Comments included: a reader of either finds the same, and a block runs once."""
    assert blocks_of(FILES[0]) == blocks_of(FILES[1])


@pytest.mark.parametrize("name", FILES)
def test_every_python_block_parses_and_imports_what_it_names(name):
    for block in blocks_of(name):
        if block.language != "python":
            continue
        assert block.extras, "no install line stands above this block"
        ast.parse(block.code)


@pytest.mark.parametrize("name", FILES)
def test_the_first_langchain_result_stands_near_the_top(name):
    lines = text_of(name).splitlines()
    start = next(at for at, line in enumerate(lines) if "langchain_trivec" in line)
    result = next(at for at in range(start, len(lines)) if lines[at].startswith("print("))
    assert result < LONGEST_WAY_TO_A_RESULT


@pytest.mark.parametrize("name", FILES)
def test_an_adapter_takes_ten_lines(name):
    for package in ("langchain_trivec", "llama_index_trivec"):
        block = next(block for block in blocks_of(name) if package in block.code)
        assert len([line for line in block.code.splitlines() if line]) <= 11


@pytest.mark.parametrize("name", FILES)
def test_the_parts_stand_in_their_order(name):
    first = [block.code for block in blocks_of(name)]
    marks = ["langchain_trivec", "llama_index_trivec", "from trivec import Chunk", "trivec index"]
    places = [next(at for at, code in enumerate(first) if mark in code) for mark in marks]
    assert places == sorted(places)
    table = re.compile(r"(?:^\|.*\n)+", flags=re.MULTILINE)
    assert len(table.findall(text_of(name))) == 1


def project_urls() -> dict[str, str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["urls"]


@pytest.mark.parametrize("name", FILES)
def test_links_are_absolute_and_lead_to_files_that_exist(name):
    home = re.escape(project_urls()["Homepage"])
    targets = re.findall(r"\]\(([^)]+)\)", text_of(name))
    assert targets
    for target in targets:
        match = re.fullmatch(rf"{home}/(blob|tree)/main/([^#]+)(?:#.*)?", target)
        assert match, f"{target} does not work on PyPI"
        path = ROOT / match[2]
        assert path.is_file() if match[1] == "blob" else path.is_dir(), target


def test_the_addresses_of_the_project_lead_to_files_that_exist():
    home = project_urls()["Homepage"]
    for address in project_urls().values():
        assert address.startswith(home)
        if match := re.search(r"/(?:blob|tree)/main/(.+)", address):
            assert (ROOT / match[1]).exists()


def test_sentences_are_short():
    assert long_sentences(text_of("README.md")) == []


def test_a_block_lacks_what_it_does_not_install(environments, tmp_path):
    run = environments(frozenset({"mini"})).run(["python", "-c", "import langchain_core"], tmp_path)
    assert "ModuleNotFoundError" in run.stderr
    run = environments(frozenset({"mini"})).run(
        ["python", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 1)"], tmp_path
    )
    assert "no network in tests" in run.stderr
