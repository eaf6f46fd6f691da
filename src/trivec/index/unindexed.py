"""Which keys of the metadata have no index: a filter on them reads the payload of every passage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from trivec.index.collection import Binding
from trivec.payloads.codecs import stored_codec
from trivec.protocols import Store
from trivec.query import Filter
from trivec.schema import Schema

__all__ = ["unindexed_metadata", "warn_of_unindexed"]

logger = logging.getLogger(__name__)

SAMPLE = 256
"""Passages whose metadata is looked at."""


def warn_of_unindexed(binding: Binding, filter: Filter | None) -> None:
    """Write to the log which keys a filter compares without an index, and the remedy."""
    from trivec.stores.server.terms import index_key

    indexed = binding.schema.payload_indexes
    paths = [path for path in _paths(filter) if path not in indexed]
    for key in dict.fromkeys(index_key(binding.schema, path) for path in paths):
        logger.warning(
            "the filter compares %r, which has no index, so that it reads the payload of every "
            "passage; index.ensure_payload_index(%r) makes one",
            key,
            key,
        )


def unindexed_metadata(store: Store, schema: Schema) -> list[str]:
    """Return the keys in the metadata of some passages that have no index."""
    codec = stored_codec(schema.codec, schema.codec_keys)
    keys: dict[str, None] = {}
    for point in store.scroll(limit=SAMPLE)[0]:
        keys.update(dict.fromkeys(codec.decode(point).metadata))
    places = {key: codec.metadata_field(key).paths for key in keys}
    indexed = schema.payload_indexes
    return sorted(key for key, paths in places.items() if not indexed.keys() >= set(paths))


def _paths(condition: Any) -> Iterator[str]:
    """Yield the payload paths that a filter compares."""
    if isinstance(condition, list | tuple):
        for item in condition:
            yield from _paths(item)
    elif hasattr(condition, "__pydantic_fields_set__"):
        key = getattr(condition, "key", None)
        if isinstance(key, str):
            yield key
        for name in type(condition).model_fields:
            yield from _paths(getattr(condition, name))
