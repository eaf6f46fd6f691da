"""``qdrant_client.models.Filter``, whole, as the embedded engine's filter.

Conditions are told apart by the names of their classes, which :mod:`trivec.conditions` shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from trivec.errors import FilterError

if TYPE_CHECKING:
    import qdrant_edge
    from qdrant_client import models

__all__ = ["to_edge"]


def to_edge(filter: models.Filter) -> qdrant_edge.Filter:
    """Translate a filter.

    Raises:
        FilterError: names the condition, match or value that the embedded engine does not have.
    """
    import qdrant_edge as edge

    try:
        least = None
        if filter.min_should is not None:
            least = edge.MinShould(
                _conditions(filter.min_should.conditions) or [], filter.min_should.min_count
            )
        return edge.Filter(
            must=_conditions(filter.must),
            should=_conditions(filter.should),
            must_not=_conditions(filter.must_not),
            min_should=least,
        )
    except (TypeError, ValueError, OverflowError) as err:
        if isinstance(err, FilterError):
            raise
        reason = str(err).splitlines()[0]
        raise FilterError(f"the embedded engine refuses a value of the filter: {reason}") from err


def _conditions(conditions: Any) -> list[qdrant_edge.ConditionType] | None:
    if conditions is None:
        return None
    listed = conditions if isinstance(conditions, list) else [conditions]
    return [_translate(condition, CONDITIONS, "condition") for condition in listed]


def _translate(value: Any, table: Mapping[str, Callable[[Any], Any]], what: str) -> Any:
    name = type(value).__name__
    if name not in table:
        raise FilterError(
            f"the embedded engine has no {what} {name}; allowed: {', '.join(sorted(table))}; "
            "use a server for this filter"
        )
    return table[name](value)


def _field(condition: models.FieldCondition) -> qdrant_edge.FieldCondition:
    import qdrant_edge as edge

    # Each test of a field condition is optional, but the engine looks at one only.
    tests: dict[str, Any] = {
        name: _translate(test, FIELD_TESTS, "field test")
        for name, test in vars(condition).items()
        if name != "key" and test is not None
    }
    if len(tests) != 1:
        raise FilterError(
            f"the condition on {condition.key!r} has {sorted(tests) or 'no test'}; give exactly "
            "one test for each FieldCondition"
        )
    return edge.FieldCondition(key=condition.key, **tests)


def _is_empty(condition: models.IsEmptyCondition) -> qdrant_edge.IsEmptyCondition:
    import qdrant_edge as edge

    return edge.IsEmptyCondition(condition.is_empty.key)


def _is_null(condition: models.IsNullCondition) -> qdrant_edge.IsNullCondition:
    import qdrant_edge as edge

    return edge.IsNullCondition(condition.is_null.key)


def _has_id(condition: models.HasIdCondition) -> qdrant_edge.HasIdCondition:
    import qdrant_edge as edge

    return edge.HasIdCondition(set(condition.has_id))


def _has_vector(condition: models.HasVectorCondition) -> qdrant_edge.HasVectorCondition:
    import qdrant_edge as edge

    return edge.HasVectorCondition(condition.has_vector)


def _slice(condition: models.SliceCondition) -> Any:
    import qdrant_edge as edge

    share = condition.slice
    return edge.SliceCondition(share.total, share.index)  # type: ignore[attr-defined]  # no stub


def _nested(condition: models.NestedCondition) -> qdrant_edge.NestedCondition:
    import qdrant_edge as edge

    return edge.NestedCondition(condition.nested.key, to_edge(condition.nested.filter))


def _match_value(match: models.MatchValue) -> qdrant_edge.MatchValue:
    import numpy as np
    import qdrant_edge as edge

    # The engine's binding reads Python's bool as an integer, which then matches no bool.
    value: Any = np.bool_(match.value) if isinstance(match.value, bool) else match.value
    return edge.MatchValue(value)


def _same_field(name: str, field: str) -> Callable[[Any], Any]:
    """Return a translation for the classes that both libraries give one field of equal meaning."""

    def translate(value: Any) -> Any:
        import qdrant_edge as edge

        return getattr(edge, name)(getattr(value, field))

    return translate


def _same_bounds(name: str) -> Callable[[Any], Any]:
    """Return a translation for the classes with the four bounds."""

    def translate(value: Any) -> Any:
        import qdrant_edge as edge

        bounds = {bound: getattr(value, bound) for bound in ("lt", "lte", "gt", "gte")}
        return getattr(edge, name)(
            **{
                bound: limit.isoformat() if isinstance(limit, date) else limit
                for bound, limit in bounds.items()
            }
        )

    return translate


def _point(point: models.GeoPoint) -> qdrant_edge.GeoPoint:
    import qdrant_edge as edge

    return edge.GeoPoint(lon=point.lon, lat=point.lat)


def _box(box: models.GeoBoundingBox) -> qdrant_edge.GeoBoundingBox:
    import qdrant_edge as edge

    return edge.GeoBoundingBox(_point(box.top_left), _point(box.bottom_right))


def _circle(circle: models.GeoRadius) -> qdrant_edge.GeoRadius:
    import qdrant_edge as edge

    return edge.GeoRadius(_point(circle.center), circle.radius)


def _polygon(polygon: models.GeoPolygon) -> qdrant_edge.GeoPolygon:
    import qdrant_edge as edge

    exterior, *interiors = (
        [_point(point) for point in line.points]
        for line in (polygon.exterior, *(polygon.interiors or ()))
    )
    return edge.GeoPolygon(exterior, interiors or None)


CONDITIONS: Mapping[str, Callable[[Any], Any]] = {
    "FieldCondition": _field,
    "IsEmptyCondition": _is_empty,
    "IsNullCondition": _is_null,
    "HasIdCondition": _has_id,
    "HasVectorCondition": _has_vector,
    "SliceCondition": _slice,
    "NestedCondition": _nested,
    "Filter": to_edge,
}
"""By the class of ``qdrant_client.models``."""

FIELD_TESTS: Mapping[str, Callable[[Any], Any]] = {
    "MatchValue": _match_value,
    "MatchText": _same_field("MatchText", "text"),
    "MatchTextAny": _same_field("MatchTextAny", "text_any"),
    "MatchPhrase": _same_field("MatchPhrase", "phrase"),
    "MatchPrefix": _same_field("MatchPrefix", "prefix"),
    "MatchSubstring": _same_field("MatchSubstring", "substring"),
    "MatchAny": _same_field("MatchAny", "any"),
    "MatchExcept": _same_field("MatchExcept", "except_"),
    "Range": _same_bounds("RangeFloat"),
    "DatetimeRange": _same_bounds("RangeDateTime"),
    "ValuesCount": _same_bounds("ValuesCount"),
    "GeoBoundingBox": _box,
    "GeoRadius": _circle,
    "GeoPolygon": _polygon,
    "bool": bool,  # is_empty and is_null as fields
}
"""By the class of a field condition's test."""
