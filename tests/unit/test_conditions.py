"""Filters without qdrant-client: the same classes, the same meaning, and no import of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from datetime import date

import pytest
from qdrant_client import models

from trivec import conditions
from trivec.conditions import for_client, is_filter, qdrant
from trivec.errors import FilterError
from trivec.payloads import Field
from trivec.stores import as_filter
from trivec.stores.edge.filters import CONDITIONS, FIELD_TESTS
from trivec.stores.filters import all_of, require_storable_filter


@pytest.fixture
def without_client(monkeypatch):
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "qdrant_client", None)
        yield hidden


@pytest.mark.parametrize("name", sorted(conditions._OWN))
def test_an_own_class_has_the_fields_of_the_clients(name):
    theirs = set(getattr(models, name).model_fields)
    own = {field.name for field in fields(conditions._OWN[name])}
    if name == "FieldCondition":  # trivec itself builds no other test of a field
        theirs &= {"key", "match", "range"}
    assert own == theirs


def test_the_embedded_engine_knows_every_own_class():
    parts = {"PayloadField", "MinShould"}  # of a condition, never one themselves
    assert set(conditions._OWN) - parts <= {*CONDITIONS, *FIELD_TESTS}


def path(key):
    tokens = None if key == "plain" else "tokens"
    return Field(key, (f"metadata.{key}",), tokens=tokens, names=(key,))


SHORTHANDS = {
    "equal": {"lang": "zh"},
    "number": {"year": 2020},
    "float": {"plain": 1.5},
    "inexact": {"year": 2**60 + 1},
    "bool": {"open": True},
    "any": {"lang": ["zh", "en"]},
    "many": {"year": list(range(100))},
    "none of": {"lang": []},
    "range": {"year": {"gte": 2020, "lt": 2024}, "plain": {"gt": 1}},
    "dates": {"published": {"gte": date(2024, 1, 1), "lt": "2025-01-01T00:00:00"}},
    "missing": {"author": None},
    "there": {"author": {"exists": True}},
    "unlike": {"lang": {"ne": "en"}, "tag": {"not_in": ["a"]}},
    "logic": {"$or": [{"a": "b"}, {"$not": {"c": "d"}}], "$and": [{"e": "f"}]},
}


@pytest.mark.parametrize("shorthand", SHORTHANDS.values(), ids=SHORTHANDS)
def test_a_filter_without_the_client_is_the_clients(shorthand, without_client):
    own = all_of(as_filter(shorthand, path), as_filter({"tenant": "t"}, path))
    assert type(own) is conditions.Filter
    require_storable_filter(own)
    without_client.undo()
    theirs = all_of(as_filter(shorthand, path), as_filter({"tenant": "t"}, path))
    assert type(theirs) is models.Filter
    assert for_client(own) == theirs
    assert is_filter(own)
    assert is_filter(theirs)
    assert for_client(theirs) is theirs


def test_a_filter_from_before_the_import_passes_afterwards(without_client):
    early = as_filter({"lang": "zh"}, path)
    without_client.undo()
    assert as_filter(early, path) == as_filter({"lang": "zh"}, path)
    negated = as_filter({"$not": early}, path)
    assert negated == as_filter({"$not": {"lang": "zh"}}, path)
    assert for_client(negated) is negated


def test_levels_are_counted_in_own_classes_too(without_client):
    deep = as_filter({"lang": "zh"}, path)
    for _ in range(60):
        deep = all_of(deep, deep)
    with pytest.raises(FilterError, match="levels"):
        require_storable_filter(deep)


def test_a_class_of_the_client_alone_is_refused_in_words(without_client):
    with pytest.raises(AttributeError, match=r"GeoRadius .*trivec\[server\]"):
        _ = qdrant.GeoRadius


PROGRAM = """
import sys
sys.modules["qdrant_client"] = None
from trivec import Chunk, HybridIndex
from trivec.testing import FakeEncoder

with HybridIndex.open(sys.argv[1], FakeEncoder(), tenant="t") as index:
    index.add([Chunk("a river", id="1", source="s", metadata={"year": 2020, "lang": "en"})])
    index.add([Chunk("a hill", id="2", source="s", metadata={"year": 2021})])
    index.add_arm("colbert")
    print([hit.id for hit in index.search("river", filter={"year": {"gte": 2021}})])
    print([hit.id for hit in index.search("river", filter={"lang": {"ne": "zh"}})])
    print(index.delete(ids=["1"]), index.count(), index.count(filter={"lang": None}))
"""


def test_an_embedded_index_needs_no_client(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "kb"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['2']", "['1', '2']", "1 1 1"]
