"""Turns the roles of docstrings, such as ``:class:`Hit```, into links of the documentation site."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["DocstringRoles"]

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc|obj):`(~?)([^`]+)`")
PACKAGES = ("trivec.", "langchain_trivec.", "llama_index_trivec.")
LITERAL = re.compile(r"``(.+?)``")


class DocstringRoles(griffe.Extension):
    """Rewrites every docstring once the packages are loaded, so that each name can be resolved."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite the docstrings of a package.

        Args:
            pkg: the package.
        """
        _rewrite(pkg)


def _rewrite(place: griffe.Object) -> None:
    if place.docstring:
        text = ROLE.sub(lambda role: _link(place, role), place.docstring.value)
        place.docstring.value = LITERAL.sub(r"`\1`", text)
    for member in place.members.values():
        if isinstance(member, griffe.Object):
            _rewrite(member)


def _link(place: griffe.Object, role: re.Match[str]) -> str:
    short, target = role[1] == "~", role[2]
    shown = target.rpartition(".")[2] if short else target
    path = _path(place, target)
    return f"[`{shown}`][{path}]" if path else f"`{shown}`"


def _path(place: griffe.Object, target: str) -> str | None:
    """Return the address of what a role means; None for what the reference does not show."""
    if target.startswith(PACKAGES):
        path = target
    else:
        head, dot, tail = target.partition(".")
        try:
            path = f"{place.resolve(head)}{dot}{tail}"
        except griffe.NameResolutionError:
            return None
    try:
        meant = place.modules_collection[path]
    except KeyError:
        return None
    # a field is told in its class's docstring, and has no address of its own
    return meant.parent.path if meant.is_attribute and not meant.docstring else path
