"""The dict shorthand, and its translation for the embedded engine."""

from __future__ import annotations

import inspect
import uuid
from datetime import UTC, date, datetime
from itertools import count
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import models
from qdrant_client.local.payload_filters import check_filter

from trivec.errors import FilterError
from trivec.payloads.fields import metadata_field, tokens
from trivec.stores.edge.filters import CONDITIONS, FIELD_TESTS, to_edge
from trivec.stores.filters import all_of, as_filter

FIRST, SECOND = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))

RECORDS = [
    {"lang": "zh", "year": 2020, "score": 0.5, "draft": True, "published": "2024-05-01T10:00:00Z"},
    {"lang": "en", "year": 2023, "score": 1.5, "draft": False, "published": "2023-01-31"},
    {"lang": ["de", "zh"], "year": 2024, "author": "孙", "uuid": FIRST},
    {"lang": None, "year": 1999, "author": [], "tags": ["a", "b"]},
    {},
]


def path(key):
    return metadata_field(key, "metadata.", "tokens")


def passing(filter_):
    """The numbers of the records that pass, by qdrant-client's own evaluation."""
    return [
        number
        for number, record in enumerate(RECORDS)
        if filter_ is None
        or check_filter(filter_, {"metadata": record, "tokens": tokens(record)}, number, {})
    ]


@pytest.mark.parametrize(
    ("shorthand", "expected"),
    [
        (None, [0, 1, 2, 3, 4]),
        ({}, [0, 1, 2, 3, 4]),
        ({"lang": "zh"}, [0, 2]),
        ({"lang": ["en", "de"]}, [1, 2]),
        ({"lang": {"in": ["en", "de"]}}, [1, 2]),
        ({"lang": {"$in": ("en",)}}, [1]),
        ({"lang": []}, []),
        ({"lang": {"not_in": []}}, [0, 1, 2, 3, 4]),
        ({"lang": {"ne": "zh"}}, [1, 3, 4]),
        ({"lang": {"eq": "en"}}, [1]),
        ({"lang": None}, [3, 4]),
        ({"author": None}, [0, 1, 3, 4]),
        ({"author": {"ne": None}}, [2]),
        ({"year": {"gte": 2020, "lt": 2024}}, [0, 1]),
        ({"year": {"$gt": 2020}}, [1, 2]),
        ({"year": 2020}, [0]),
        ({"score": 0.5}, [0]),
        ({"score": {"lte": 1.5}}, [0, 1]),
        ({"score": [0.5, 1.5]}, [0, 1]),
        ({"draft": True}, [0]),
        ({"draft": [True, False]}, [0, 1]),
        ({"lang": ["en", None]}, [1, 3, 4]),
        ({"published": {"gte": "2024-01-01"}}, [0]),
        ({"published": {"lt": datetime(2024, 1, 1, tzinfo=UTC)}}, [1]),
        ({"published": date(2023, 1, 31)}, [1]),
        ({"uuid": uuid.UUID(FIRST)}, [2]),
        ({"lang": "zh", "year": 2024}, [2]),
        ({"$or": [{"lang": "en"}, {"year": 1999}]}, [1, 3]),
        ({"$and": [{"lang": "zh"}, {"year": {"gt": 2020}}]}, [2]),
        ({"$not": {"lang": "zh"}}, [1, 3, 4]),
        ({"$not": {"lang": "zh", "year": 2020}}, [1, 2, 3, 4]),
        ({"$or": [{"lang": "en"}, {"$not": {"year": {"lt": 2100}}}]}, [1, 4]),
        ({"lang": "zh", "$or": [{"year": 2020}, {"year": 2023}]}, [0]),
    ],
    ids=repr,
)
def test_the_shorthand_selects(shorthand, expected):
    assert passing(as_filter(shorthand, path)) == expected


@pytest.mark.parametrize(
    ("shorthand", "named"),
    [
        ({"year": {"above": 3}}, r"'above'.*year.*gt, gte, lt, lte"),
        ({"$nor": [{"a": 1}]}, r"\$nor.*\$and, \$or, \$not"),
        ({"$or": []}, "at least one"),
        ({"$or": {"a": 1}}, "at least one"),
        ({"$or": [{}, {"a": 1}]}, "empty"),
        ({"$not": {}}, "empty"),
        ({"a": {}}, "empty"),
        ({"a": {"in": "text"}}, "list"),
        ({"a": 2j}, "complex"),
        ({"a": {"gte": "yesterday"}}, "yesterday"),
        ({"a": {"gte": 1, "lt": "2024-01-01"}}, "mixes"),
        ({"a": {"gte": float("nan")}}, "nan"),
        ({"a": float("inf")}, "inf"),
        ({"a": {"gt": True}}, "True"),
        ({1: "a"}, "1"),
        ("lang", "str"),
        ([("a", 1)], "list"),
    ],
    ids=count(),
)
def test_what_cannot_be_understood_is_named(shorthand, named):
    with pytest.raises(FilterError, match=named):
        as_filter(shorthand, path)


def test_a_filter_of_qdrant_passes_through():
    given_filter = models.Filter(must=[])
    assert as_filter(given_filter, path) is given_filter


ATOMS = st.sampled_from(
    [
        {"lang": "zh"},
        {"lang": ["en", "de"]},
        {"year": {"gte": 2021}},
        {"author": None},
        {"lang": []},
    ]
)
SHORTHANDS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts}),
        inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=6,
)


@given(st.lists(SHORTHANDS, max_size=4))
def test_all_of_is_the_intersection(shorthands):
    filters = [as_filter(each, path) for each in shorthands]
    expected = set(range(len(RECORDS)))
    for each in filters:
        expected &= set(passing(each))
    assert set(passing(all_of(*filters, None))) == expected


def test_all_of_never_widens_by_a_should():
    tenant = models.Filter(
        must=[models.FieldCondition(key="metadata.lang", match=models.MatchValue(value="zh"))]
    )
    wide = models.Filter(
        should=[models.FieldCondition(key="metadata.year", range=models.Range(gte=0))]
    )
    assert passing(all_of(tenant, wide)) == [0, 2]
    assert passing(all_of(wide, tenant)) == [0, 2]
    assert all_of(None, tenant) is tenant
    assert all_of() is None


# The embedded engine


def test_every_condition_of_qdrant_client_is_translated_or_refused():
    """A new class in qdrant-client must be decided on here."""
    conditions = {condition.__name__ for condition in get_args(models.Condition)}
    assert conditions == set(CONDITIONS)
    matches = {match.__name__ for match in get_args(models.Match)}
    ranges = {each.__name__ for each in get_args(models.RangeInterface)}
    assert matches | ranges <= set(FIELD_TESTS)
    others = {"GeoBoundingBox", "GeoRadius", "GeoPolygon", "ValuesCount", "bool"}
    assert set(FIELD_TESTS) == matches | ranges | others
    tests = set(models.FieldCondition.model_fields) - {"key"}
    assert tests == {
        "match",
        "range",
        "geo_bounding_box",
        "geo_radius",
        "geo_polygon",
        "values_count",
        "is_empty",
        "is_null",
    }
    assert set(models.Filter.model_fields) == {"must", "should", "must_not", "min_should"}


def test_the_engine_has_every_class_that_is_used():
    import qdrant_edge

    names = {name for name, _ in inspect.getmembers(qdrant_edge, inspect.isclass)}
    assert {name for name in FIELD_TESTS if name.startswith("Match")} <= names
    assert set(CONDITIONS) <= names


def test_what_the_engine_lacks_is_named():
    class FutureCondition:
        """What a later qdrant-client may bring."""

    inner = models.Filter.model_construct(should=[FutureCondition()])
    with pytest.raises(FilterError, match=r"FutureCondition.*FieldCondition"):
        to_edge(models.Filter.model_construct(must=[inner]))


def test_a_bool_stays_a_bool():
    """qdrant-edge-py 0.9 takes True for 1; when that is mended, drop _match_value."""
    import qdrant_edge

    assert type(qdrant_edge.MatchValue(True).value) is int
    filter_ = models.Filter(
        must=[models.FieldCondition(key="a", match=models.MatchValue(value=True))]
    )
    assert to_edge(filter_).must[0].match.value is True


@pytest.mark.parametrize(
    "condition",
    [
        models.HasIdCondition(has_id=["not-a-uuid"]),
        models.FieldCondition(key="a", match=models.MatchValue(value=2**80)),
        models.FieldCondition(key="a[", match=models.MatchValue(value=1)),
        models.FieldCondition(key="a"),
        models.FieldCondition(key="a", match=models.MatchValue(value=1), range=models.Range(gte=1)),
    ],
    ids=["id", "integer", "key", "no-test", "two-tests"],
)
def test_a_value_that_the_engine_refuses_is_a_filter_error(condition):
    with pytest.raises(FilterError):
        to_edge(models.Filter(must=[condition]))
