"""The dict shorthand, and its translation for the embedded engine."""

from __future__ import annotations

import inspect
import math
import re
import uuid
from datetime import UTC, date, datetime
from itertools import count
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import models
from qdrant_client.local.payload_filters import check_filter

from trivec.errors import FilterError
from trivec.payloads.fields import Field, metadata_field, tokens
from trivec.schema import MAX_DEPTH
from trivec.stores.edge.filters import CONDITIONS, FIELD_TESTS, to_edge
from trivec.stores.filters import all_of, as_filter, require_storable_filter

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


@pytest.mark.parametrize(
    ("shorthand", "message"),
    [
        ({1: "a"}, "the filter has the key 1, allowed: text"),
        (
            "lang",
            (
                "the filter is a str, allowed: a dict over metadata keys, "
                "qdrant_client.models.Filter, None"
            ),
        ),
        ({"$eq": 1}, "unknown operator '$eq' in a key's place; allowed: $and, $or, $not"),
        ({"$or": "ab"}, "'$or' takes a list of filters with at least one, got 'ab'"),
        ({"$and": [None]}, "'$and' has an empty filter in it; leave it out"),
        ({"a": {}}, "the condition on 'a' is empty; leave it out"),
        ({"a": {"nin": 3}}, "'nin' of 'a' takes a list, got 3"),
        ({"a": {"exists": 1}}, "'exists' of 'a' takes True or False, got 1"),
        (
            {"a": {"$x": 1}},
            "unknown operator '$x' for 'a'; allowed: gt, gte, lt, lte, eq, ne, in, not_in, exists",
        ),
        ({"a": float("inf")}, "'a' is compared with inf; allowed: finite numbers"),
        ({"a": 2**64}, f"'a' is compared with {2**64}; allowed: integers of 64 bits"),
        (
            {"a": b"x"},
            (
                "'a' is compared with a bytes, allowed: text, numbers, bool, dates, None, "
                "lists of these, ranges"
            ),
        ),
        (
            {'a"b': {"gt": 1}},
            (
                "the key 'a\"b' takes no range: its values are kept as text; "
                "compare it with eq, ne, in or not_in, or rename it"
            ),
        ),
        (
            {"a": {"gt": 1, "lt": "2024-01-01"}},
            "the range of 'a' mixes numbers and dates: {'gt': 1, 'lt': '2024-01-01'}",
        ),
        (
            {"a": {"gte": 2**53 + 1}},
            (
                f"the range of 'a' has the bound {2**53 + 1}; ranges compare as floats, which tell "
                "integers apart up to 2**53; compare with eq or in, or store smaller numbers"
            ),
        ),
        (
            {"a": {"gte": "soon"}},
            (
                "the range of 'a' has the bound 'soon', allowed: finite numbers, dates, "
                "dates as ISO 8601 text"
            ),
        ),
    ],
    ids=count(),
)
def test_a_message_says_what_was_given_and_what_is_allowed(shorthand, message):
    with pytest.raises(FilterError) as caught:
        as_filter(shorthand, path)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [2**64 - 1, 2**63, -(2**63), -(2**63) + 1, 2**63 - 1])
def test_integers_of_64_bits_are_compared(value):
    for shorthand in ({"n": value}, {"n": [value]}, {"n": {"ne": value}}):
        assert as_filter(shorthand, path) is not None


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_integers_of_more_bits_are_not(value):
    with pytest.raises(FilterError, match="64 bits"):
        as_filter({"n": value}, path)


def found(shorthand, records, where=path):
    """The numbers of the records that pass; each has its tokens."""
    filter_ = as_filter(shorthand, where)
    return [
        number
        for number, record in enumerate(records)
        if check_filter(filter_, {"metadata": record, "tokens": tokens(record)}, number, {})
    ]


@pytest.mark.parametrize("count_", [2, 64, 65, 200])
def test_a_list_of_integers_is_one_condition_however_long(count_):
    """Few are compared each, so that a float counts; many in one condition."""
    records = [{"n": count_}, {"n": 0}, {"n": [-5, count_ + 1]}, {}]
    wanted = [*range(1, count_), count_ + 1]
    assert found({"n": wanted}, records) == [2]
    assert found({"n": {"not_in": wanted}}, records) == [0, 1, 3]
    assert found({"n": [*wanted, "text", 0.0, None]}, records) == [1, 2, 3]
    parts = as_filter({"n": wanted}, path).must[0]
    assert (len(getattr(parts, "should", None) or []) > 1) is (count_ <= 64)


@pytest.mark.parametrize("count_", [3, 100])
def test_a_list_reaches_a_key_that_no_path_names(count_):
    records = [{'a"b': count_}, {'a"b': ["x", 1]}, {'a"b': None}, {"a": 1}]
    assert found({'a"b': list(range(count_))}, records) == [1]
    assert found({'a"b': ["x", "y"]}, records) == [1]
    assert found({'a"b': None}, records) == [2, 3]
    assert found({'a"b': {"exists": True}}, records) == [0, 1]


def bare(key):
    """A field of a collection without tokens, as other programs write it."""
    return Field(key, (f"metadata.{key}",))


def test_without_tokens_values_are_compared_where_they_lie():
    records = [{"n": 2}, {"n": 2.0}, {"n": 0.1 + 0.2}, {"n": "2"}, {"n": True}]
    assert found({"n": 2}, records, bare) == [0, 1]
    assert found({"n": 0.1 + 0.2}, records, bare) == [2]
    assert found({"n": {"gte": 0.3, "lt": 2}}, records, bare) == [2]
    assert found({"n": {"gt": 0.1, "lte": 2}}, records, bare) == [0, 1, 2]
    assert found({"n": [2, "2"]}, records, bare) == [0, 1, 3]


def with_fallback(key):
    """A field that another stands in for where it has no value, as LlamaIndex's ``ref_doc_id``."""
    return Field(key, (), ((key,),), "tokens", hidden=True, fallback=bare("other"))


def test_a_fallback_counts_where_the_field_has_no_value():
    def record(**given):
        return {"metadata": {"other": given.get("other")}, "tokens": tokens(given, {"key"})}

    payloads = [
        record(key="a", other="b"),
        record(other="a"),
        record(key="c", other="a"),
        record(),
        record(key=7, other=65),
        record(other=7),
    ]

    def passing_of(shorthand):
        filter_ = as_filter(shorthand, with_fallback)
        return [at for at, payload in enumerate(payloads) if check_filter(filter_, payload, at, {})]

    assert passing_of({"key": "a"}) == [0, 1]
    assert passing_of({"key": {"ne": "a"}}) == [2, 3, 4, 5]
    assert passing_of({"key": ["a", "c"]}) == [0, 1, 2]
    assert passing_of({"key": 7}) == [4, 5]
    assert passing_of({"key": [7, 65]}) == [4, 5]
    assert passing_of({"key": list(range(100))}) == [4, 5]
    assert passing_of({"key": None}) == [3]
    assert passing_of({"key": {"exists": True}}) == [0, 1, 2, 4, 5]
    assert passing_of({"key": {"gte": 7}}) == [5]  # tokens tell no order


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


def within(levels, wrap):
    """A filter of Qdrant's with so many levels, each within the next."""
    condition = models.FieldCondition(key="a", match=models.MatchValue(value=1))
    filter_ = models.Filter(must=[condition])
    for _ in range(levels - 1):
        filter_ = wrap(filter_)
    return filter_


WRAPS = {
    "must": lambda inner: models.Filter(must=[inner]),
    "alone": lambda inner: models.Filter(must_not=inner),
    "min_should": lambda inner: models.Filter(
        min_should=models.MinShould(conditions=[inner], min_count=1)
    ),
}


def nested(inner):
    return models.Filter(
        should=[models.NestedCondition(nested=models.Nested(key="a", filter=inner))]
    )


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_filters_have_as_many_levels_as_the_engines_read(wrap):
    deepest = within(MAX_DEPTH, wrap)
    assert as_filter(deepest, path) is deepest
    require_storable_filter(within(MAX_DEPTH + 8, wrap))

    with pytest.raises(FilterError, match=rf"more than {MAX_DEPTH} levels.*allowed: {MAX_DEPTH} "):
        as_filter(within(MAX_DEPTH + 1, wrap), path)
    with pytest.raises(FilterError, match=f"more than {MAX_DEPTH + 8} levels"):
        require_storable_filter(within(MAX_DEPTH + 9, wrap))


def test_a_nested_condition_takes_two_levels():
    as_filter(within(MAX_DEPTH // 2, nested), path)
    with pytest.raises(FilterError, match="levels"):
        as_filter(within(MAX_DEPTH // 2 + 1, nested), path)


def test_the_levels_of_the_shorthand_are_counted_as_it_is_written():
    shorthand = {"a": 1}
    for _ in range(MAX_DEPTH):
        shorthand = {"$not": shorthand}
    with pytest.raises(FilterError, match=r"^the filter "):
        as_filter(shorthand, path)


@pytest.mark.parametrize("name", ["in", "not_in", "$nin"])
def test_a_list_operator_without_a_list_is_named_as_it_was_written(name):
    with pytest.raises(FilterError, match=re.escape(f"{name!r} of 'a' takes a list, got 3")):
        as_filter({"a": {name: 3}}, path)


@pytest.mark.parametrize("bound", [np.float64(0.5), np.float32(0.5), 0.5])
def test_a_bound_of_numpy_is_a_number(bound):
    expected = passing(as_filter({"score": {"gte": 0.5}}, path))
    assert expected
    assert passing(as_filter({"score": {"gte": bound}}, path)) == expected
    assert passing(as_filter({"year": {"gt": np.int64(2020)}}, path)) == passing(
        as_filter({"year": {"gt": 2020}}, path)
    )


@pytest.mark.parametrize("bound", [10**400, -(10**400), math.inf, math.nan])
def test_a_bound_that_no_float_holds(bound):
    with pytest.raises(FilterError, match="the range of 'score' has the bound"):
        as_filter({"score": {"gte": bound}}, path)
