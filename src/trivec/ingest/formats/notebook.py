"""Notebooks of Jupyter: their cells as Markdown. What they printed and drew is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trivec.errors import InputError

__all__ = ["notebook_markdown"]

_TICKS = re.compile("`{3,}")
_LANGUAGE = re.compile(r"[\w+#.-]{1,40}")


def notebook_markdown(text: str) -> str:
    """Return the cells of a notebook: texts as they are written, code in fences.

    Raises:
        InputError: it is no notebook of format 4.
    """
    try:
        notebook = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as err:
        raise InputError(f"it is not JSON ({err})") from err
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if not isinstance(cells, list):
        raise InputError("it has no cells; save it again in Jupyter, as a notebook of format 4")
    language = _language(notebook)
    return "\n\n".join(_written(cells, language)) + "\n"


def _written(cells: list[Any], language: str) -> Iterator[str]:
    for cell in cells:
        if not isinstance(cell, Mapping):
            continue
        source = _source(cell.get("source"))
        if not source.strip():
            continue
        if cell.get("cell_type") == "code":
            longest = max((len(ticks) for ticks in _TICKS.findall(source)), default=2)
            fence = "`" * (longest + 1)
            yield f"{fence}{language}\n{source}\n{fence}"
        else:
            yield source


def _source(value: object) -> str:
    lines = value if isinstance(value, list) else [value]
    return "".join(line for line in lines if isinstance(line, str)).rstrip("\n")


def _language(notebook: Mapping[str, Any]) -> str:
    """Return the language of the code, as the notebook or its kernel names it."""
    known = notebook.get("metadata")
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        named = known.get(part) if isinstance(known, Mapping) else None
        name = named.get(key) if isinstance(named, Mapping) else None
        if isinstance(name, str) and _LANGUAGE.fullmatch(name):
            return name
    return ""
