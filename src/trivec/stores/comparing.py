"""Conditions on one metadata field: equal, any of, empty, a range; compared exactly, or refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from trivec._runtime.checks import shown
from trivec._runtime.plain import plain_values
from trivec.conditions import qdrant
from trivec.errors import FilterError
from trivec.payloads.fields import (
    LARGEST_MATCHED,
    Field,
    is_exact,
    presence_token,
    value_token,
)

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["any_of", "empty", "equal", "in_range", "negated"]


def equal(field: Field, value: Any) -> models.Condition:
    """Match where a field has a value; of a list, where one element is it. None means empty.

    Raises:
        FilterError: nothing in a payload can equal the value.
    """
    if value is None:
        return empty(field)
    value = _plain(value)
    if isinstance(value, date):
        return in_range(field, {"gte": value, "lte": value})
    comparable = _comparable(field, value)
    return _or_fallback(field, lambda one: _same(one, comparable))


def _plain(value: Any) -> Any:
    """Return a value as metadata of its type is stored; dates stay, since they are ranges here."""
    return value if isinstance(value, date) else plain_values(value)


def _or_fallback(field: Field, condition: Callable[[Field], models.Condition]) -> models.Condition:
    """Let the fallback of a field count where the field itself has no value."""
    if field.fallback is None:
        return condition(field)
    instead = qdrant.Filter(must=[condition(field.fallback), _empty_here(field)])
    return qdrant.Filter(should=[condition(field), instead])


def _comparable(field: Field, value: Any) -> str | int | float:
    """Return the value as a payload has it.

    Raises:
        FilterError: nothing in a payload can equal it.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise FilterError(f"{field.key!r} is compared with {value}; allowed: finite numbers")
    if isinstance(value, int) and not -LARGEST_MATCHED <= value + 1 <= 2 * LARGEST_MATCHED + 2:
        raise FilterError(f"{field.key!r} is compared with {value}; allowed: integers of 64 bits")
    if not isinstance(value, str | int | float):
        raise FilterError(
            f"{field.key!r} is compared with a {type(value).__name__}, allowed: text, numbers, "
            "bool, dates, None, lists of these, ranges"
        )
    return value


def _same(field: Field, value: str | float) -> models.Condition:
    """Compare one value, at every path and, where the engine cannot, among the tokens."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_MATCHED:
        value = int(value)
    reached: list[models.Condition] = [
        qdrant.FieldCondition(key=path, **_test(value))
        for path in field.paths
        if isinstance(value, str | bool) or value <= LARGEST_MATCHED
    ]
    inexact = not isinstance(value, str | bool) and not is_exact(value)
    if not isinstance(value, str | bool) and field.tokens is not None:
        others = _tokens_near(field, field.tokens, value, lambda near: near != value)
        reached = [qdrant.Filter(must=[test], must_not=[others]) for test in reached]
    if inexact or not reached:
        reached += _token_match(field, [value])
    return _one_of(reached)


def _test(value: str | float) -> dict[str, Any]:
    """Return the test of a field condition; a range finds integers and floats alike."""
    if isinstance(value, str | bool) or (isinstance(value, int) and not is_exact(value)):
        return {"match": qdrant.MatchValue(value=value)}
    return {"range": qdrant.Range(gte=value, lte=value)}


def any_of(field: Field, values: list[Any]) -> models.Condition:
    """Match where a field has one of some values; no value matches no point.

    Raises:
        FilterError: nothing in a payload can equal one of them.
    """
    values = [_plain(value) for value in values]
    texts = [value for value in values if isinstance(value, str)]
    integers = [value for value in values if type(value) is int and is_exact(value)]
    many = integers if len(integers) > _MANY else []
    conditions: list[models.Condition] = []
    if texts:
        conditions.append(_or_fallback(field, lambda one: _any_text(one, texts)))
    if many:
        conditions.append(_or_fallback(field, lambda one: _any_integer(one, many)))
    conditions += [
        equal(field, value)
        for value in values
        if not isinstance(value, str) and not (many and value in many)
    ]
    return _one_of(conditions)


_MANY = 64
"""Integers of one list; more are compared in one condition, with integers alone."""


def _any_text(field: Field, texts: list[str]) -> models.Condition:
    match = qdrant.MatchAny(any=texts)
    reached: list[models.Condition] = [
        qdrant.FieldCondition(key=path, match=match) for path in field.paths
    ]
    return _one_of(reached or _token_match(field, texts))


def _any_integer(field: Field, integers: list[int]) -> models.Condition:
    match = qdrant.MatchAny(any=integers)
    reached: list[models.Condition] = [
        qdrant.FieldCondition(key=path, match=match) for path in field.paths
    ]
    return _one_of(reached or _token_match(field, integers))


def _one_of(conditions: list[models.Condition]) -> models.Condition:
    """Match where one condition holds; no condition matches no point.

    Qdrant takes an empty ``should`` for no condition at all.
    """
    if len(conditions) == 1:
        return conditions[0]
    if conditions:
        return qdrant.Filter(should=conditions)
    nowhere = qdrant.HasIdCondition(has_id=[])
    return qdrant.Filter(must=[nowhere])


def negated(condition: models.Condition) -> models.Condition:
    """Match where a condition does not hold."""
    return qdrant.Filter(must_not=[condition])


def empty(field: Field) -> models.Condition:
    """Match where a field is missing, null or an empty list."""
    here = _empty_here(field)
    if field.fallback is None:
        return here
    return qdrant.Filter(must=[here, _empty_here(field.fallback)])


def _empty_here(field: Field) -> models.Condition:
    absent: list[models.Condition] = [
        qdrant.IsEmptyCondition(is_empty=qdrant.PayloadField(key=path)) for path in field.paths
    ]
    given: list[models.Condition] = []
    if field.hidden and field.tokens is not None:
        present = [presence_token(names) for names in field.names]
        match = qdrant.MatchAny(any=present)
        given = [qdrant.FieldCondition(key=field.tokens, match=match)]
    return qdrant.Filter(must=absent or None, must_not=given or None)


def _token_match(field: Field, values: Sequence[str | float]) -> list[models.Condition]:
    if field.tokens is None:
        return []
    wanted = [value_token(names, value) for names in field.names for value in values]
    return [qdrant.FieldCondition(key=field.tokens, match=qdrant.MatchAny(any=wanted))]


_NEAR = 6
"""Floats on either side that a stored number may be mistaken for: it is off by two at most."""


def _tokens_near(
    field: Field, tokens: str, value: float, wanted: Callable[[float], bool]
) -> models.FieldCondition:
    """Match the tokens of the neighbours of a float that are wanted."""
    near = [value]
    for direction in (-math.inf, math.inf):
        neighbour = value
        for _ in range(_NEAR):
            neighbour = math.nextafter(neighbour, direction)
            near.append(neighbour)
    listed = [
        value_token(names, number)
        for names in field.names
        for number in near
        if math.isfinite(number) and wanted(number) and not is_exact(number)
    ]
    return qdrant.FieldCondition(key=tokens, match=qdrant.MatchAny(any=listed))


def in_range(field: Field, bounds: Mapping[str, Any]) -> models.Condition:
    """Match where a field has a number or a date within bounds.

    Args:
        field: the field.
        bounds: numbers, or dates and ISO 8601 texts, by ``gt``, ``gte``, ``lt`` or ``lte``.

    Raises:
        FilterError: bounds of both kinds or of another one, or the field's values are kept as text.
    """
    bounds = {name: _plain(value) for name, value in bounds.items()}
    numbers = [
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and math.isfinite(value))
        for value in bounds.values()
    ]
    if not field.paths and field.fallback is None:
        raise FilterError(
            f"the key {field.key!r} takes no range: its values are kept as text; "
            "compare it with eq, ne, in or not_in, or rename it"
        )
    if all(numbers):
        return _or_fallback(field, lambda one: _all_bounds(one, bounds))
    if any(numbers):
        raise FilterError(f"the range of {field.key!r} mixes numbers and dates: {shown(bounds)}")
    dates = {name: _as_date(field, value) for name, value in bounds.items()}
    return _or_fallback(field, lambda one: _dates(one, dates))


def _all_bounds(field: Field, bounds: Mapping[str, float]) -> models.Condition:
    """Compare with every bound.

    Raises:
        FilterError: a bound that is no float.
    """
    for bound in bounds.values():
        if isinstance(bound, int) and not is_exact(bound):
            raise FilterError(
                f"the range of {field.key!r} has the bound {shown(bound)}; ranges compare as "
                "floats, which tell integers apart up to 2**53; compare with eq or in, or store "
                "smaller numbers"
            )
    if field.tokens is None:
        ranges: list[models.Condition] = [
            qdrant.FieldCondition(key=path, range=qdrant.Range(**bounds)) for path in field.paths
        ]
        return _one_of(ranges)
    return qdrant.Filter(must=[_bound(field, field.tokens, *named) for named in bounds.items()])


_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
}


def _bound(field: Field, tokens: str, name: str, bound: float) -> models.Condition:
    """Compare with a bound, where the engine may take a stored neighbour for it.

    A bound that the engine may misread is replaced by one beside it. The tokens decide about the
    neighbours.
    """
    holds = _COMPARE[name]
    test = {name: bound}
    if not is_exact(bound):
        beside = _exact_beside(bound, -math.inf if name.startswith("g") else math.inf)
        test = {name.removesuffix("e"): beside}
    ranges: list[models.Condition] = [
        qdrant.FieldCondition(key=path, range=qdrant.Range(**test)) for path in field.paths
    ]
    inside = _tokens_near(field, tokens, bound, lambda near: holds(near, bound))
    outside = _tokens_near(field, tokens, bound, lambda near: not holds(near, bound))
    return qdrant.Filter(should=[*ranges, inside], must_not=[outside])


def _exact_beside(bound: float, direction: float) -> float:
    """Return the next float that the engine reads exactly, or one that is near enough."""
    beside = bound
    for _ in range(_NEAR // 2):  # the tokens reach further than the engine errs beside it
        beside = math.nextafter(beside, direction)
        if is_exact(beside):
            break
    return beside


def _dates(field: Field, bounds: Mapping[str, date]) -> models.Condition:
    ranges: list[models.Condition] = [
        qdrant.FieldCondition(key=path, range=qdrant.DatetimeRange(**bounds))
        for path in field.paths
    ]
    return _one_of(ranges)


def _as_date(field: Field, value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as err:
        raise FilterError(
            f"the range of {field.key!r} has the bound {shown(value)}, allowed: finite numbers, "
            "dates, dates as ISO 8601 text"
        ) from err
