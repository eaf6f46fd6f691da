"""Documents and filters that nest deeper than the engines can read back."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from qdrant_client import models

from trivec.errors import FilterError, InputError


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


CYCLE: dict = {}
CYCLE["inner"] = CYCLE


@pytest.mark.parametrize("metadata", [nested(31), nested(125), nested(5_000), CYCLE])
def test_a_deep_document_is_refused(store, metadata):
    with pytest.raises(InputError, match="nested more than 30 levels"):
        store.add_documents([Document("deep", metadata=metadata)], strict=True)
    assert store.similarity_search("deep") == []


def test_a_deep_filter_is_refused(store):
    store.add_documents([Document("kept", id="1")])
    inner = models.Filter(must=[models.HasIdCondition(has_id=[1])])
    for _ in range(62):
        inner = models.Filter(must=[inner])
    for filter in (inner, {"$not": CYCLE}):
        with pytest.raises(FilterError, match="levels"):
            store.similarity_search("kept", filter=filter)
    assert len(store.similarity_search("kept")) == 1
