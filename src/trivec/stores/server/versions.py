"""Which version of Qdrant brought what, and what trivec does without it: one table.

Older servers drop what they do not know, often in silence: a condition then matches every point, a
weight does not count. So the version of a server is read once, where one of these is asked for.
``docs/servers.md`` shows the table to readers; a test keeps both alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from trivec.query import Filter

__all__ = ["FEATURES", "Feature", "Version", "conditions_in", "parse_version", "shown"]

Version: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """What a version of the server brought.

    Attributes:
        what: how messages call it.
        since: the first version that has it.
        without: what trivec does where the server lacks it.
    """

    what: str
    since: Version
    without: str


_REFUSES = "refuses the filter"

FEATURES: Mapping[str, Feature] = {
    "has_vector": Feature("the condition has_vector", (1, 13), _REFUSES),
    "phrase": Feature("the condition match.phrase", (1, 15), _REFUSES),
    "metadata": Feature(
        "the metadata of a collection", (1, 15, 4), "refuses to create or adopt a collection"
    ),
    "text_any": Feature("the condition match.text_any", (1, 16), _REFUSES),
    "update_filter": Feature("a filter of an update of vectors", (1, 16), "refuses the update"),
    "rrf": Feature(
        "a constant of reciprocal rank fusion",
        (1, 16),
        "fuses the lists itself, in two requests",
    ),
    "weights": Feature(
        "weights of reciprocal rank fusion", (1, 17), "fuses the lists itself, in two requests"
    ),
    "add_vector": Feature("adding a vector to a collection", (1, 18), "refuses add_arm"),
    "prefix": Feature("the condition match.prefix", (1, 19), _REFUSES),
    "slice": Feature("the condition slice", (1, 19), _REFUSES),
    "substring": Feature("the condition match.substring", (1, 20), _REFUSES),
}

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def parse_version(text: object) -> Version | None:
    """Return the numbers of a version; None where the text is none."""
    match = _VERSION.match(text) if isinstance(text, str) else None
    return None if match is None else tuple(int(part or 0) for part in match.groups())


def shown(version: Version) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))


def conditions_in(filter: Filter | None) -> list[Feature]:
    """Return the conditions of a filter that not every server knows, without repeats."""
    names = dict.fromkeys(_names(filter))
    return [FEATURES[name] for name in names if name in FEATURES]


def _names(condition: Any) -> Iterator[str]:
    """Yield the fields that are set anywhere in a filter."""
    if isinstance(condition, list | tuple):
        for item in condition:
            yield from _names(item)
    elif hasattr(condition, "__pydantic_fields_set__"):
        for name in type(condition).model_fields:
            value = getattr(condition, name)
            if value is not None:
                yield name
                yield from _names(value)
