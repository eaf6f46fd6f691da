"""Nodes and filters that nest deeper than the engines can read back."""

from __future__ import annotations

import re

import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from trivec.errors import FilterError


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


CYCLE: dict = {}
CYCLE["inner"] = CYCLE


@pytest.mark.parametrize("metadata", [nested(31), nested(125), nested(1_000), CYCLE])
def test_a_deep_node_is_refused(store, index, metadata):
    store.add([TextNode(text="deep", metadata=metadata, embedding=[0.0] * 64)])
    [refusal] = store.last_report.refused
    assert re.search(r"nested more than 30 levels|cannot be written as JSON", refusal.reason)
    assert index.count() == 0


@pytest.mark.parametrize("levels", [31, 62, 1_000])
def test_deep_filters_are_refused(store, index, nodes, levels):
    store.add(nodes)
    inner = MetadataFilters(filters=[MetadataFilter(key="n", value=1)])
    for _ in range(levels):
        inner = MetadataFilters(filters=[inner])
    before = index.count()
    with pytest.raises(FilterError, match="levels"):
        store.delete_nodes(filters=inner)
    assert index.count() == before
