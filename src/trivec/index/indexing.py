"""Indexing a key of the metadata, at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from trivec._runtime.plain import json_values
from trivec.errors import InputError, StoreError
from trivec.index.collection import Binding
from trivec.index.opening import with_indexes
from trivec.schema import Schema

__all__ = ["ensure_payload_index", "kind_of"]

SAMPLE = 1024
"""Passages that are looked at for the type of a key's values."""


def ensure_payload_index(binding: Binding, key: str, kind: str | None) -> tuple[Schema, str]:
    """Index a key; return what the collection holds then, and the type.

    Raises:
        InputError: no such type, or no value to tell it by, or a key that no index can reach.
        StoreError: the client's key may not make indexes.
    """
    key = json_values(key, "key", 1)  # as the metadata's own keys are kept
    paths = binding.codec.metadata_field(key).paths
    if not paths:
        raise InputError(
            f"the key {key!r} cannot be indexed: its values are kept as text, whose index every "
            "collection has; filters on it need no other"
        )
    if kind is None:
        kind = kind_of(_values(binding, key))
    if kind is None:
        raise InputError(
            f"none of the first {SAMPLE} passages has a value for {key!r} that tells the type of "
            "its index; give kind='keyword', or another"
        )
    indexes = dict.fromkeys(paths, kind)
    schema = with_indexes(binding.store, binding.schema, indexes)
    if any(schema.payload_indexes.get(path) != kind for path in paths):
        raise StoreError(
            f"the client's key may not index {key!r}; build the client with one that may"
        )
    return schema, kind


def kind_of(values: Iterable[Any]) -> str | None:
    """Return the index type that holds all values; None where there are none.

    An index of floats holds integers too; values of several types are compared as text.
    """
    kinds = {_kind(value) for value in values}
    if kinds == {"integer", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else ("keyword" if kinds else None)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "float"
    return "datetime" if _is_datetime(value) else "keyword"


def _is_datetime(value: Any) -> bool:
    """Say whether a text is a date with a time; a mere date is as often compared as text."""
    if not isinstance(value, str) or len(value) < len("2024-01-01T00:00"):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _values(binding: Binding, key: str) -> Iterator[Any]:
    """Yield the values of a key; without a filter, since strict mode would refuse it."""
    scope = binding.scope()
    points = (point for page in binding.pages(scope) for point in page)
    for point in islice(points, SAMPLE):
        yield from _scalars(_at(binding.codec.decode(point).metadata, key))


def _at(metadata: Any, key: str) -> Any:
    """Return the value of a key, or of a path into objects."""
    if not isinstance(metadata, dict):
        return None
    if key in metadata:
        return metadata[key]
    first, _, rest = key.partition(".")
    return _at(metadata.get(first), rest) if rest else None


def _scalars(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str | int | float):
            yield item
