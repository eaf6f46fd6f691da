"""Filters select the same points in every store, whatever condition they are made of."""

from __future__ import annotations

import math
import operator
import os
import random
import uuid
from datetime import UTC, date, datetime

import numpy as np
import pytest
from qdrant_client import models

from trivec.errors import FilterError
from trivec.payloads.fields import metadata_field, tokens
from trivec.stores.filters import as_filter
from trivec.types import Point, SparseVector

FIRST, SECOND = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
BERLIN, SHANGHAI = {"lon": 13.4, "lat": 52.5}, {"lon": 121.5, "lat": 31.2}

PAYLOADS = {
    1: {"lang": "zh", "year": 2020, "score": 0.5, "draft": True, "place": SHANGHAI},
    2: {"lang": "en", "year": 2023, "score": 1.5, "draft": False, "place": BERLIN},
    3: {"lang": ["de", "zh"], "year": 2024, "title": "Sparse retrieval, learned"},
    4: {"lang": None, "title": "dense retrieval", "published": "2024-05-01T10:00:00Z"},
    5: {"tags": ["a", "b", "c"], "lang": [], "published": "2023-01-31"},
    FIRST: {"parts": [{"name": "x", "size": 1}, {"name": "y", "size": 5}], "uuid": SECOND},
    SECOND: {"parts": [{"name": "x", "size": 5}]},
}


def field(key, **test):
    return models.FieldCondition(key=f"metadata.{key}", **test)


def match(key, **test):
    return field(key, match=models.Match.__args__[KINDS.index(next(iter(test)))](**test))


KINDS = ["value", "text", "text_any", "phrase", "prefix", "substring", "any", "except"]


def corners(*pairs):
    return models.GeoLineString(points=[models.GeoPoint(lon=lon, lat=lat) for lon, lat in pairs])


def field_of(key):
    return metadata_field(key, "metadata.", "tokens")


EUROPE = corners((0, 40), (30, 40), (30, 60), (0, 60), (0, 40))
GERMANY = corners((5, 47), (16, 47), (16, 55), (5, 55), (5, 47))

CONDITIONS = {
    "value-text": (match("lang", value="zh"), {1, 3}),
    "value-integer": (match("year", value=2020), {1}),
    "value-bool": (match("draft", value=False), {2}),
    "text": (match("title", text="retrieval learned"), {3}),
    "text-any": (match("title", text_any="dense learned"), {3, 4}),
    "phrase": (match("title", phrase="sparse retrieval"), {3}),
    "prefix": (match("lang", prefix="z"), {1, 3}),
    "substring": (match("title", substring="retr"), {3, 4}),
    "any-text": (match("lang", any=["en", "de"]), {2, 3}),
    "any-integer": (match("year", any=[2020, 2024]), {1, 3}),
    "except": (match("lang", **{"except": ["zh"]}), {2, 3}),
    "range": (field("year", range=models.Range(gte=2020, lt=2024)), {1, 2}),
    "range-float": (field("score", range=models.Range(gt=0.5)), {2}),
    "datetime": (
        field("published", range=models.DatetimeRange(gt=datetime(2024, 1, 1, tzinfo=UTC))),
        {4},
    ),
    "date": (field("published", range=models.DatetimeRange(lte=date(2023, 1, 31))), {5}),
    "datetime-naive": (
        field("published", range=models.DatetimeRange(gte=datetime(2024, 5, 1, 10, 0))),  # noqa: DTZ001
        {4},
    ),
    "box": (
        field(
            "place",
            geo_bounding_box=models.GeoBoundingBox(
                top_left=models.GeoPoint(lon=10, lat=55),
                bottom_right=models.GeoPoint(lon=15, lat=50),
            ),
        ),
        {2},
    ),
    "radius": (
        field(
            "place",
            geo_radius=models.GeoRadius(center=models.GeoPoint(lon=121, lat=31), radius=100_000),
        ),
        {1},
    ),
    "polygon": (field("place", geo_polygon=models.GeoPolygon(exterior=EUROPE)), {2}),
    "polygon-hole": (
        field("place", geo_polygon=models.GeoPolygon(exterior=EUROPE, interiors=[GERMANY])),
        set(),
    ),
    "values-count": (field("tags", values_count=models.ValuesCount(gte=3)), {5}),
    "empty": (
        models.IsEmptyCondition(is_empty=models.PayloadField(key="metadata.lang")),
        {4, 5, FIRST, SECOND},
    ),
    "empty-field": (field("lang", is_empty=True), {4, 5, FIRST, SECOND}),
    "not-empty-field": (field("lang", is_empty=False), {1, 2, 3}),
    "null": (models.IsNullCondition(is_null=models.PayloadField(key="metadata.lang")), {4}),
    "null-field": (field("lang", is_null=True), {4}),
    "has-id": (models.HasIdCondition(has_id=[1, FIRST, uuid.UUID(SECOND), 77]), {1, FIRST, SECOND}),
    "slice": (models.SliceCondition(slice=models.Slice(total=2, index=0)), {1, 3, 4, 5, SECOND}),
    "has-vector": (models.HasVectorCondition(has_vector="sparse"), {2, 4, FIRST}),
    "nested": (
        models.NestedCondition(
            nested=models.Nested(
                key="metadata.parts",
                filter=models.Filter(
                    must=[
                        models.FieldCondition(key="name", match=models.MatchValue(value="x")),
                        models.FieldCondition(key="size", match=models.MatchValue(value=5)),
                    ]
                ),
            )
        ),
        {SECOND},
    ),
    "filter": (
        models.Filter(should=[match("lang", value="en"), match("year", value=2024)]),
        {2, 3},
    ),
}


@pytest.fixture
def filled(store):
    generator = np.random.default_rng(0)
    points = []
    for number, (identity, metadata) in enumerate(PAYLOADS.items()):
        vectors = {"dense": generator.standard_normal(16).astype(np.float32)}
        if number % 2:
            vectors["sparse"] = SparseVector.from_mapping({1: 1.0})
        points.append(Point(identity, vectors, {"metadata": metadata}))
    store.upsert(points)
    return store


def selected(store, filter_):
    page, _ = store.scroll(filter=filter_)
    found = {point.id for point in page}
    assert store.count(filter_) == len(found)
    return found


def test_each_condition(filled):
    wrong = {}
    for name, (condition, expected) in CONDITIONS.items():
        found = selected(filled, models.Filter(must=[condition]))
        if found != expected:
            wrong[name] = found
    assert not wrong


def test_each_condition_negated(filled):
    everything = set(PAYLOADS)
    wrong = {}
    for name, (condition, expected) in CONDITIONS.items():
        found = selected(filled, models.Filter(must_not=condition))
        if found != everything - expected:
            wrong[name] = found
    assert not wrong


def test_clauses(filled):
    zh, en, late = match("lang", value="zh"), match("lang", value="en"), match("year", value=2024)
    least = models.MinShould(conditions=[zh, en, late], min_count=2)
    assert selected(filled, models.Filter(min_should=least)) == {3}
    assert selected(filled, models.Filter(must=[zh], must_not=[late])) == {1}
    assert selected(filled, models.Filter(should=[en, late], must=zh)) == {3}
    assert selected(filled, models.Filter()) == set(PAYLOADS)


@pytest.mark.parametrize(
    ("shorthand", "expected"),
    [
        ({"lang": []}, set()),
        ({"lang": ["zh", None]}, {1, 3, 4, 5, FIRST, SECOND}),
        ({"score": 0.5}, {1}),
        ({"draft": {"ne": True}}, {2, 3, 4, 5, FIRST, SECOND}),
        ({"published": {"gte": "2024-01-01"}}, {4}),
        ({"$not": {"$or": [{"lang": "zh"}, {"lang": None}]}}, {2}),
    ],
    # a set has no order, and every worker of a parallel run must name the tests alike
    ids=lambda value: repr(sorted(value, key=str) if isinstance(value, set) else value),
)
def test_the_shorthand(filled, shorthand, expected):
    assert selected(filled, as_filter(shorthand, field_of)) == expected


def fill(store, metadata):
    """Store points 0, 1, 2, ... with this metadata, as a payload layout does."""
    vectors = {"dense": np.ones(16, dtype=np.float32)}
    store.upsert(
        [
            Point(number, vectors, {"metadata": each, "tokens": tokens(each)})
            for number, each in enumerate(metadata)
        ]
    )


KEYS = [
    "a.b", "x[0]", "x[]", "dc:title", "with space", "emoji😀", 'quo"te', "apo'strophe",
    "back\\slash", " ", 'a"b.c', "tab\t", "中文", "a-b", "[]", "a[].b", "$price", "dot.", ".dot",
    "..", "é", "key:with/slash", "*", "#", "a\u0301", "trivec", "metadata", "tokens", "0", "-1",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_any_key_that_can_be_stored_can_be_filtered(store, key):
    fill(store, [{key: "keep"}, {key: "drop"}, {key: 7}, {key: ["keep", 8.5]}, {"other": 1}])
    assert selected(store, as_filter({key: "keep"}, field_of)) == {0, 3}
    assert selected(store, as_filter({key: 7}, field_of)) == {2}
    assert selected(store, as_filter({"$not": {key: "keep"}}, field_of)) == {1, 2, 4}
    assert selected(store, as_filter({key: {"ne": "keep"}}, field_of)) == {1, 2, 4}
    assert selected(store, as_filter({key: {"eq": 8.5}}, field_of)) == {3}
    assert selected(store, as_filter({key: {"in": ["drop", 7]}}, field_of)) == {1, 2}
    assert selected(store, as_filter({key: {"not_in": ["drop", 7]}}, field_of)) == {0, 3, 4}
    assert selected(store, as_filter({key: {"exists": False}}, field_of)) == {4}
    assert selected(store, as_filter({key: {"exists": True}}, field_of)) == {0, 1, 2, 3}
    if '"' in key or "\\" in key:
        with pytest.raises(FilterError, match="takes no range"):
            as_filter({key: {"gt": 7}}, field_of)
    else:
        assert selected(store, as_filter({key: {"gt": 7}}, field_of)) == {3}


def test_a_dot_is_part_of_a_key_and_a_path_into_an_object(store):
    fill(store, [{"a.b": 1}, {"a": {"b": 1}}, {"a": {"b": 2}}, {"a.b": 2}, {"a": [{"b": 1}]}])
    assert selected(store, as_filter({"a.b": 1}, field_of)) == {0, 1}
    assert selected(store, as_filter({"a.b": {"gte": 2}}, field_of)) == {2, 3}
    assert selected(store, as_filter({"a.b": {"ne": 1}}, field_of)) == {2, 3, 4}
    assert selected(store, as_filter({"a[].b": 1}, field_of)) == {4}


NUMBERS = [
    25.643769918316394, 0.1, 0.30000000000000004, 1764377236.123456789, 1e-7, 1.2345678901234567e-9,
    1e22, 1.7976931348623157e308, 5e-324, 9.007199254740993, 0.1 + 0.7, 2020, 2021.0, 0, -0.0, -1.5,
    2**53, 2**53 + 1, 2**60, 2**60 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), -(2**63) + 1,
    987.2591999999999, 918.0000000000001,  # the engine reads 987.2592 and 918
]  # fmt: skip


def test_numbers_compare_exactly(store):
    numbers = NUMBERS
    if os.environ.get("TRIVEC_TEST_GRPC_PORT"):  # its integers are signed
        numbers = [number for number in NUMBERS if number not in (2**63, 2**64 - 1)]
    fill(store, [{"n": number} for number in numbers])
    for number in [*NUMBERS, 2020.0, 2021, float(2**60), 7, 0.3, 0.8, 987.2592, 918, 918.0]:
        equal = {at for at, stored in enumerate(numbers) if stored == number}
        assert selected(store, as_filter({"n": number}, field_of)) == equal, number
        assert selected(store, as_filter({"n": {"in": [number]}}, field_of)) == equal, number


def neighbours(number):
    return [math.nextafter(number, -math.inf), number, math.nextafter(number, math.inf)]


@pytest.mark.parametrize("seed", range(3))
def test_ranges_compare_exactly(store, seed):
    generator = random.Random(seed)  # noqa: S311  # any numbers will do
    bounds = [
        generator.uniform(-100, 100),
        1_700_000_000 + generator.random() * 1e8,
        generator.random() * 10.0 ** generator.randint(-30, 15),
        round(generator.uniform(0, 10), 3),
        generator.randint(-5, 5),
    ]
    numbers = [number for bound in bounds for number in (*neighbours(bound), round(bound, 2))]
    fill(store, [{"n": number} for number in numbers])
    tests = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    for bound in bounds:
        for name, holds in tests.items():
            expected = {at for at, number in enumerate(numbers) if holds(number, bound)}
            assert selected(store, as_filter({"n": {name: bound}}, field_of)) == expected, (
                name,
                bound,
            )


@pytest.mark.parametrize("bound", [2**53 + 1, -(2**60), 2**64 - 1])
def test_a_range_that_floats_cannot_hold_is_refused(bound):
    with pytest.raises(FilterError, match="up to 2\\*\\*53"):
        as_filter({"n": {"gte": bound}}, field_of)


def test_a_bool_is_no_number(store):
    fill(store, [{"n": True}, {"n": 1}, {"n": 1.0}, {"n": False}, {"n": 0}])
    assert selected(store, as_filter({"n": True}, field_of)) == {0}
    assert selected(store, as_filter({"n": 1}, field_of)) == {1, 2}
    assert selected(store, as_filter({"n": [False, 0]}, field_of)) == {3, 4}
