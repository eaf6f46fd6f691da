"""Front matter: the metadata at the top of a Markdown file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from trivec.errors import InputError
from trivec.ingest.formats.packages import needs

__all__ = ["front_matter"]

LONGEST = 1 << 16
DEEPEST = 100
"""Brackets within each other: the time that PyYAML takes grows with their number's square."""
CLOSINGS = {"---": ("---", "..."), "+++": ("+++",)}


def front_matter(text: str) -> tuple[dict[str, Any], int]:
    """Return the metadata at the top of a text, and where the text itself begins.

    YAML between ``---`` lines and TOML between ``+++`` lines are front matter where they hold a
    mapping; else the text begins at 0.

    Raises:
        InputError: what stands between the lines is neither.
    """
    opening = text.partition("\n")[0].rstrip()
    if opening not in CLOSINGS:
        return {}, 0
    begin = text.find("\n") + 1
    position = begin
    while 0 < position < min(len(text), LONGEST):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if text[position:end].rstrip() in CLOSINGS[opening]:
            values = _parsed(text[begin:position], opening)
            return (values, min(end + 1, len(text))) if values is not None else ({}, 0)
        position = end + 1
    return {}, 0


def _parsed(source: str, opening: str) -> dict[str, Any] | None:
    value = _toml(source) if opening == "+++" else _yaml(source)
    return {str(key): _json(one) for key, one in value.items()} if _is_mapping(value) else None


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _toml(source: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise InputError(f"its front matter is not TOML ({err}); mend it") from err


def _yaml(source: str) -> Any:
    with needs("files"):
        import yaml
    if _depth(source) > DEEPEST:
        raise InputError(
            f"its front matter has brackets nested more than {DEEPEST} levels deep; "
            "write it flatter"
        )
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(source)):
            raise InputError("its front matter uses YAML aliases; write the values out")
        return yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        if isinstance(err, InputError):
            raise
        reason = " ".join(str(err).split())
        raise InputError(f"its front matter is not YAML ({reason}); mend it") from err


def _depth(source: str) -> int:
    """Return how many brackets are open at once, at most; one that is quoted counts too."""
    depth = deepest = 0
    for character in source:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth = max(depth - 1, 0)
    return deepest


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_json(one) for one in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
