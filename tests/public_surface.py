"""The public surface as the sources state it: which names are public, what they are built from.

Nothing is imported: griffe reads the sources, names under ``TYPE_CHECKING`` included.
"""

from __future__ import annotations

import ast
import pydoc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import griffe
from tests.adapters import ADAPTERS, ROOT

MODULES = (
    "trivec",
    "trivec.adapters",
    "trivec.answers",
    "trivec.arms",
    "trivec.bm25",
    "trivec.chat",
    "trivec.encoders",
    "trivec.errors",
    "trivec.evaluation",
    "trivec.events",
    "trivec.exporting",
    "trivec.fusion",
    "trivec.index",
    "trivec.ingest",
    "trivec.loading",
    "trivec.mini",
    "trivec.payloads",
    "trivec.protocols",
    "trivec.query",
    "trivec.questions",
    "trivec.rerankers",
    "trivec.rewriting",
    "trivec.schema",
    "trivec.serving.explorer",
    "trivec.stores",
    "trivec.testing",
    "trivec.text",
    "trivec.training",
    "trivec.training.data",
    "trivec.types",
)
ROLE = re.compile(r":(class|func|meth|mod|attr|data|exc|obj):`~?([^`]+)`")


@dataclass(frozen=True)
class Reference:
    """A role in a docstring: ``:class:`Hit``` in the docstring of ``place``."""

    place: griffe.Object
    role: str
    target: str

    def __str__(self) -> str:
        return f"{self.place.path}: :{self.role}:`{self.target}`"


class Surface:
    """The packages of one checkout.

    Args:
        folders: the packages by name, and the folder that each lies in.
        modules: the public modules among theirs.
    """

    def __init__(self, folders: dict[str, Path], modules: tuple[str, ...]) -> None:
        loader = griffe.GriffeLoader(search_paths=sorted(set(map(str, folders.values()))))
        self.packages = {name: loader.load(name) for name in folders}
        self.modules = modules
        loader.resolve_aliases(external=False)

    @classmethod
    def of_this_checkout(cls) -> Surface:
        """Return the surface of trivec and of its adapters."""
        folders = {name: folder.parent for name, folder in ADAPTERS.items()}
        return cls({"trivec": ROOT / "src", **folders}, (*MODULES, *ADAPTERS))

    def names(self, module: str) -> list[str]:
        """Return what a public module's ``__all__`` holds, in its order."""
        return [str(name) for name in self.find(module).exports or ()]

    @cached_property
    def public(self) -> dict[str, griffe.Object]:
        """Every public object by the path of its definition."""
        found = {}
        for module in self.modules:
            for name in self.names(module):
                if not name.startswith("__"):
                    definition = self.find(f"{module}.{name}")
                    found[definition.path] = definition
        return found

    @cached_property
    def bases(self) -> set[str]:
        """The classes of these packages that public classes inherit their members from."""
        classes = [part for part in self.public.values() if part.is_class]
        return {base.path for part in classes for base in part.mro()}

    def find(self, path: str) -> griffe.Object:
        """Return the definition of a dotted path.

        Raises:
            KeyError: nothing has that path.
        """
        package, _, rest = path.partition(".")
        return walk(self.packages[package], rest.split(".")) if rest else self.packages[package]

    def hidden_types(self, definition: griffe.Object, *, constructor: bool = True) -> list[str]:
        """Return the types in an object's signatures that no public module exports.

        Args:
            definition: a public object.
            constructor: whether what a class is built from belongs to its surface.
        """
        hidden = []
        for place, annotation in annotations(definition, constructor=constructor):
            for name in annotation.iterate(flat=True):
                if not isinstance(name, griffe.ExprName):
                    continue
                if name.canonical_path.partition(".")[0] not in self.packages:
                    continue
                target = self.find(name.canonical_path)
                if target.path not in self.public and not is_type_variable(target):
                    hidden.append(f"{place}: {target.path}")
        return hidden

    def undocumented(self, definition: griffe.Object) -> list[str]:
        """Return the paths of an object and of its public members that have no docstring."""
        return [part.path for part in [definition, *members(definition)] if not part.docstring]

    def references(self) -> Iterator[Reference]:
        """Yield every role of every docstring, private ones included."""
        for package in self.packages.values():
            for place in everything(package):
                if place.docstring:
                    for role, target in ROLE.findall(place.docstring.value):
                        yield Reference(place, role, target)

    def resolves(self, reference: Reference) -> bool:
        """Say whether a reference leads to a public object, seen from where it stands."""
        if reference.role == "mod":
            return reference.target in self.modules
        parts = reference.target.split(".")
        if any(part.startswith("_") for part in parts):
            return False
        place: griffe.Object | None = reference.place
        while place is not None:
            if self._leads_to_public(place, parts):
                return True
            place = place.parent
        if parts[0] not in self.packages:
            return False
        end = longest_module(self.modules, parts)
        module, rest = ".".join(parts[:end]), parts[end:]
        if not end or rest[0] not in self.names(module):
            return False
        return self._leads_to_public(self.find(module), rest)

    def _leads_to_public(self, start: griffe.Object, parts: list[str]) -> bool:
        if not parts:
            return False
        try:
            first, last = walk(start, parts[:1]), walk(start, parts)
        except KeyError:
            return start.path in self.public and is_inherited(start, parts)
        return start.path in self.bases or bool(
            self.public.keys() & {start.path, first.path, last.path}
        )


def longest_module(modules: tuple[str, ...], parts: list[str]) -> int:
    """Return how many leading parts of a path name a public module."""
    return max((end for end in range(1, len(parts)) if ".".join(parts[:end]) in modules), default=0)


def walk(start: griffe.Object, parts: list[str]) -> griffe.Object:
    """Follow names from an object to a definition, through imports and base classes.

    Raises:
        KeyError: a name is not there.
    """
    for part in parts:
        start = start.all_members[part]
        if start.is_alias:
            try:
                start = start.final_target
            except griffe.AliasResolutionError as err:
                raise KeyError(part) from err
    return start


def is_inherited(definition: griffe.Object, parts: list[str]) -> bool:
    """Say whether a class has a member, one from a framework's class included.

    Those are not read, so this asks the class itself.
    """
    return (
        definition.is_class and len(parts) == 1 and hasattr(pydoc.locate(definition.path), parts[0])
    )


def members(definition: griffe.Object) -> list[griffe.Object]:
    """Return the public methods, properties and fields with a signature of a class."""
    if not definition.is_class:
        return []
    found = []
    for name in definition.all_members:
        member = walk(definition, [name])
        is_field = member.is_attribute and "property" not in member.labels
        if not name.startswith("_") and not is_field and not member.is_module:
            found.append(member)
    return found


def fields(definition: griffe.Object) -> list[griffe.Object]:
    """Return the public annotated fields of a class."""
    if not definition.is_class:
        return []
    found = [walk(definition, [name]) for name in definition.all_members if name[0] != "_"]
    return [
        member
        for member in found
        if member.is_attribute and "property" not in member.labels and member.annotation
    ]


def annotations(
    definition: griffe.Object, *, constructor: bool
) -> Iterator[tuple[str, griffe.Expr]]:
    """Yield every annotation of an object: parameters, results, fields, what an alias means."""
    signatures = [definition, *members(definition)]
    if constructor and definition.is_class and "__init__" in definition.all_members:
        signatures.append(walk(definition, ["__init__"]))
    found: list[tuple[str, object]] = []
    for part in signatures:
        if part.is_function:
            found += [(f"{part.path}({item.name})", item.annotation) for item in part.parameters]
            found.append((part.path, part.returns))
        elif part.is_attribute:
            found.append((part.path, part.annotation))
            if str(part.annotation) == "TypeAlias":
                meaning = ast.parse(str(part.value), mode="eval").body  # perhaps a string
                alias = griffe.get_annotation(meaning, part.parent, parse_strings=True)
                found.append((part.path, alias))
    found += [(part.path, part.annotation) for part in fields(definition)]
    for path, annotation in found:
        if isinstance(annotation, griffe.Expr):
            yield path, annotation


def is_type_variable(definition: griffe.Object) -> bool:
    """Say whether an object is a ``TypeVar``, which a signature needs and nobody imports."""
    return definition.is_attribute and str(definition.value).startswith(("TypeVar(", "ParamSpec("))


def everything(start: griffe.Object) -> Iterator[griffe.Object]:
    """Yield an object and all that it defines, at any depth."""
    yield start
    for member in start.members.values():
        if not member.is_alias:
            yield from everything(member)
