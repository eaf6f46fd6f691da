"""The names that trivec promises: where they are, what they are built from, what they say."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module

import pytest
from tests.public_surface import ADAPTERS, MODULES, Reference, Surface, fields

import trivec

SURFACE = Surface.of_this_checkout()
PUBLIC = SURFACE.public
MOST_ROOT_NAMES = 50

BUILT_BY_TRIVEC = {"trivec.index.hybrid.HybridIndex", "trivec.answers.turn.Turn"}
"""Built by ``HybridIndex.open`` and ``Answerer.begin``: nobody else calls their constructors."""

ELSEWHERE = {"SparseVector": "langchain_trivec"}
"""langchain-qdrant's class, which is imported from there; its stand-in is used without it."""


def public_names(module: str) -> list[str]:
    return [name for name in SURFACE.names(module) if not name.startswith("__")]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_exports_what_it_says(module):
    loaded = import_module(module)
    assert sorted(set(loaded.__all__)) == sorted(loaded.__all__) == sorted(SURFACE.names(module))
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


def test_the_root_stays_small():
    assert len(trivec.__all__) <= MOST_ROOT_NAMES
    assert sorted(trivec.__all__) == list(trivec.__all__)


def test_a_name_has_one_public_module_and_perhaps_the_root():
    homes: dict[str, list[str]] = {}
    for module in MODULES[1:]:
        for name in public_names(module):
            homes.setdefault(name, []).append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
    assert set(public_names("trivec")) <= set(homes)


def test_the_documents_list_exactly_the_public_names(repository):
    text = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `([\w.]+)`$", text, flags=re.MULTILINE)[1:]
    listed = {}
    for module, section in zip(sections[::2], sections[1::2], strict=True):
        rows = re.findall(r"^\| `(\w+)` \| .", section, flags=re.MULTILINE)
        of_the_root = re.search(r"^`trivec` has .*: (.*)\.$", section, flags=re.MULTILINE)
        rows += re.findall(r"`(\w+)`", of_the_root[1]) if of_the_root else []
        listed[module] = sorted(rows)
    assert listed == {module: sorted(public_names(module)) for module in MODULES}


@pytest.mark.parametrize("path", PUBLIC)
def test_every_type_of_a_signature_can_be_imported(path):
    hidden = SURFACE.hidden_types(PUBLIC[path], constructor=path not in BUILT_BY_TRIVEC)
    assert [
        line for line in hidden if ELSEWHERE.get(line.rpartition(".")[2]) != path.partition(".")[0]
    ] == []


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_object_and_its_members_are_documented(path):
    assert SURFACE.undocumented(PUBLIC[path]) == []


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, part in PUBLIC.items()
        if "dataclass" in part.labels and not path.startswith(tuple(ADAPTERS))
    ],
)
def test_every_field_of_a_dataclass_is_explained(path):
    """Those of a result that its one sentence explains, such as a refusal's reason, aside."""
    definition = PUBLIC[path]
    text = "\n".join(base.docstring.value for base in (definition, *definition.mro()))
    names = [field.name for field in fields(definition)]
    if "Attributes:" in text:
        assert [name for name in names if not re.search(rf"^\s*{name}: ", text, re.MULTILINE)] == []
    else:
        assert len(names) <= 4, "more fields than a sentence explains; write 'Attributes:'"


def test_every_reference_in_a_docstring_leads_to_a_public_object():
    references = list(SURFACE.references())
    assert len(references) > 100
    assert [str(reference) for reference in references if not SURFACE.resolves(reference)] == []


@pytest.mark.parametrize(
    ("place", "role", "target", "leads"),
    [
        ("trivec.index.hybrid.HybridIndex.search", "meth", "open", True),
        ("trivec.index.hybrid.HybridIndex.search", "meth", "opens", False),
        ("trivec.index.hybrid.HybridIndex.search", "meth", "_run", False),
        ("trivec.index.hybrid", "func", "binding_of", False),
        ("trivec.index.hybrid", "class", "trivec.HybridIndex", True),
        ("trivec.index.hybrid", "class", "trivec.index.hybrid.HybridIndex", False),
        ("trivec.index.hybrid", "class", "trivec.index.collection.Binding", False),
        ("trivec.index.hybrid", "class", "trivec.RankingOptions", False),
        ("trivec.index.hybrid", "class", "trivec.rerankers.RankingOptions", True),
        ("trivec.index.hybrid", "mod", "trivec.stores", True),
        ("trivec.index.hybrid", "mod", "trivec.fusion", True),
        ("trivec.index.hybrid", "mod", "trivec.colbert", False),
        ("trivec.mini.encoder.MiniEncoder", "meth", "encode_long", True),
        ("langchain_trivec.vectorstore.TrivecVectorStore", "meth", "as_retriever", True),
        ("langchain_trivec.vectorstore.TrivecVectorStore", "meth", "as_receiver", False),
    ],
)
def test_what_a_reference_leads_to(place, role, target, leads):
    assert SURFACE.resolves(Reference(SURFACE.find(place), role, target)) is leads


LIBRARY = '''
"""A package."""
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
if TYPE_CHECKING:
    from made_up.hidden import Secretive
__all__ = ["Alias", "Shown", "shown"]
Alias: TypeAlias = "dict[str, list[Secretive]]"
"""An alias."""
class Shown:
    """A class."""
    def method(self, given: list[Secretive | None]) -> None:
        """A method."""
    @property
    def read(self) -> tuple[Secretive, ...]:
        """A property."""
@dataclass
class Bare(Shown):
    field: Secretive
    def silent(self) -> Bare: ...
def shown(given: int) -> Bare:
    """Like :func:`shown` and :class:`Bare`."""
'''


def test_the_checks_notice_what_is_hidden(tmp_path):
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").write_text(LIBRARY, encoding="utf-8")
    hidden = '"""Hidden."""\nclass Secretive:\n    """Not public."""\n'
    (package / "hidden.py").write_text(hidden, encoding="utf-8")
    surface = Surface({"made_up": tmp_path}, ("made_up",))
    found = {path: surface.hidden_types(part) for path, part in surface.public.items()}
    assert found == {
        "made_up.Alias": ["made_up.Alias: made_up.hidden.Secretive"],
        "made_up.Shown": [
            "made_up.Shown.method(given): made_up.hidden.Secretive",
            "made_up.Shown.read: made_up.hidden.Secretive",
        ],
        "made_up.shown": ["made_up.shown: made_up.Bare"],
    }
    bare = surface.find("made_up.Bare")
    assert surface.undocumented(bare) == ["made_up.Bare", "made_up.Bare.silent"]
    assert "made_up.Bare.field: made_up.hidden.Secretive" in surface.hidden_types(bare)
    lost = [str(each) for each in surface.references() if not surface.resolves(each)]
    assert lost == ["made_up.shown: :class:`Bare`"]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_is_what_the_sources_say(module):
    """What griffe reads is what Python imports, docstrings included."""
    for name in public_names(module):
        value, read = getattr(import_module(module), name), SURFACE.find(f"{module}.{name}")
        if inspect.isclass(value) or inspect.isfunction(value):
            assert f"{value.__module__}.{value.__qualname__}" == read.path
            assert inspect.cleandoc(value.__doc__) == inspect.cleandoc(read.docstring.value)


def test_every_module_says_what_is_public(repository):
    package = repository / "src" / "trivec"
    silent = [
        path.relative_to(package)
        for path in package.rglob("*.py")
        if path.read_text(encoding="utf-8").strip()
        and "\n__all__ = [" not in path.read_text(encoding="utf-8")
        and "\n__all__: " not in path.read_text(encoding="utf-8")
    ]
    assert not silent


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Hybrid'"):
        trivec.Hybrid  # noqa: B018


def test_dir_and_star_import_agree_with_all():
    program = "import trivec; names = dir(trivec); from trivec import *; print(names)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(trivec.__all__) <= set(re.findall(r"'(\w+)'", run.stdout))


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert trivec.__version__ == version("trivec")
