"""Filters select the same points in every store, whatever condition they are made of."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

import numpy as np
import pytest
from qdrant_client import models

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
    assert selected(filled, as_filter(shorthand, lambda key: f"metadata.{key}")) == expected
