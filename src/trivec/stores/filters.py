"""Filters: a plain dict shorthand for ``qdrant_client.models.Filter``, and how filters combine.

The shorthand maps metadata keys to conditions, all of which must hold::

    {"lang": "zh"}                                   equal; of a list value, one element is enough
    {"lang": ["zh", "en"]}                           any of these; an empty list matches nothing
    {"year": {"gte": 2020, "lt": 2024}}              a range of numbers
    {"published": {"gte": "2024-01-01"}}             of dates (ISO 8601 text, date, datetime)
    {"author": None}                                 missing, null or empty
    {"author": {"exists": True}}                     there, and neither null nor empty
    {"lang": {"ne": "en"}, "tag": {"not_in": [1]}}   unlike
    {"$or": [{...}, {...}], "$and": [...], "$not": {...}}

A key is any text. ``a.b`` is the key ``a.b`` and the key ``b`` of the object ``a``. Values compare
exactly, ``2020`` equals ``2020.0``; what the engine cannot compare exactly is refused. A filter
has at most ``trivec.schema.MAX_DEPTH`` levels; a level of ``$and``, ``$or`` or ``$not`` takes two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any, TypeAlias

from trivec._runtime.checks import check_depth
from trivec._runtime.plain import plain_values
from trivec._runtime.typed import checked
from trivec.errors import FilterError, InputError
from trivec.payloads.fields import (
    LARGEST_MATCHED,
    Field,
    is_exact,
    presence_token,
    value_token,
)
from trivec.schema import MAX_DEPTH

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["all_of", "as_filter", "require_storable_filter"]

Fields: TypeAlias = Callable[[str], Field]

_BOUNDS = ("gt", "gte", "lt", "lte")
_OPERATORS = (*_BOUNDS, "eq", "ne", "in", "not_in", "exists")
_ALIASES = {"nin": "not_in"}
_LOGIC = ("$and", "$or", "$not")
_FOREIGN = frozenset(
    f"${name}"
    for name in (*_OPERATORS, *_ALIASES, "nor", "regex", "where", "expr", "text", "like", "all")
)
"""Operators of this and other filter languages; in a key's place they are a mistake."""


@checked
def as_filter(
    value: models.Filter | Mapping[str, Any] | None, fields: Callable[[str], Field]
) -> models.Filter | None:
    """Return a filter of Qdrant's from the shorthand; one of Qdrant's own passes through.

    Args:
        value: the shorthand, a ``models.Filter``, or None for no filter. ``{}`` is no filter.
        fields: returns where a metadata key lies: :meth:`trivec.HybridIndex.field`.

    Raises:
        FilterError: an unknown operator, a value that Qdrant cannot compare, an empty ``$or``, or
            more levels than the engines can read.
    """
    if value is None:  # a search without a filter never imports the client, which takes a second
        return None
    from qdrant_client import models

    if isinstance(value, models.Filter):
        _require_levels(value, MAX_DEPTH)
        return value
    try:
        check_depth("the filter", value, MAX_DEPTH)
    except InputError as err:
        raise FilterError(str(err)) from err
    filter = _from_shorthand(value, fields)
    if filter is not None:
        _require_levels(filter, MAX_DEPTH)
    return filter


def require_storable_filter(filter: models.Filter | None) -> None:
    """Raise where an engine could write a filter to its log, or a server get it, and not read it.

    A filter may have some levels more here than its user wrote: a tenant's, say.

    Raises:
        FilterError: it has too many levels.
    """
    if filter is not None:
        _require_levels(filter, MAX_DEPTH + _LEVELS_AROUND)


_LEVELS_AROUND = 8
"""Levels that trivec may put around a filter; gRPC takes 47 in a fused search, the engine's log
62."""


def _require_levels(filter: models.Filter, most: int) -> None:
    from qdrant_client import models

    stack: list[tuple[Any, int]] = [(filter, 1)]
    while stack:
        condition, depth = stack.pop()
        if isinstance(condition, models.NestedCondition):
            stack.append((condition.nested.filter, depth + 1))
        if not isinstance(condition, models.Filter):
            continue
        if depth > most:
            raise FilterError(
                f"the filter has more than {most} levels, or contains itself; allowed: {most} "
                "filters within each other; join conditions of one kind in one list"
            )
        least = None if condition.min_should is None else condition.min_should.conditions
        for clause in (condition.must, condition.should, condition.must_not, least):
            inner = clause if isinstance(clause, list) else [clause]
            stack.extend((one, depth + 1) for one in inner)


def _from_shorthand(value: Any, fields: Fields) -> models.Filter | None:
    from qdrant_client import models

    if not isinstance(value, Mapping):
        raise FilterError(
            f"the filter is a {type(value).__name__}, allowed: a dict over metadata keys, "
            "qdrant_client.models.Filter, None"
        )
    conditions = [_clause(key, operand, fields) for key, operand in value.items()]
    return models.Filter(must=conditions) if conditions else None


def all_of(*filters: models.Filter | None) -> models.Filter | None:
    """Return a filter that all given ones must pass; None is no filter.

    The filters are nested whole: a ``should`` of one never widens another.
    """
    given = [filter for filter in filters if filter is not None]
    if len(given) < 2:
        return given[0] if given else None
    from qdrant_client import models

    return models.Filter(must=list(given))


def _clause(key: str, operand: Any, fields: Fields) -> models.Condition:
    if not isinstance(key, str):
        raise FilterError(f"the filter has the key {key!r}, allowed: text")
    if key in _LOGIC:
        return _logic(key, operand, fields)
    if key in _FOREIGN:
        raise FilterError(
            f"unknown operator {key!r} in a key's place; allowed: {', '.join(_LOGIC)}"
        )
    return _field(fields(key), operand)


def _logic(operator: str, operand: Any, fields: Fields) -> models.Condition:
    from qdrant_client import models

    parts = [operand] if operator == "$not" else operand
    if isinstance(parts, str | Mapping) or not isinstance(parts, Sequence) or not parts:
        raise FilterError(
            f"{operator!r} takes a list of filters with at least one, got {operand!r}"
        )
    filters = [
        part if part is None or isinstance(part, models.Filter) else _from_shorthand(part, fields)
        for part in parts
    ]
    inner: list[models.Condition] = [filter for filter in filters if filter is not None]
    if len(inner) < len(parts):
        raise FilterError(f"{operator!r} has an empty filter in it; leave it out")
    clause = {"$and": "must", "$or": "should", "$not": "must_not"}[operator]
    return models.Filter.model_validate({clause: inner})


def _field(field: Field, operand: Any) -> models.Condition:
    from qdrant_client import models

    if isinstance(operand, Mapping):
        if not operand:
            raise FilterError(f"the condition on {field.key!r} is empty; leave it out")
        return models.Filter(must=_operations(field, operand))
    if isinstance(operand, list | tuple | set | frozenset):
        return _any(field, list(operand))
    return _equal(field, operand)


def _operations(field: Field, operations: Mapping[str, Any]) -> list[models.Condition]:
    bounds: dict[str, Any] = {}
    conditions: list[models.Condition] = []
    for name, operand in operations.items():
        operator = str(name).removeprefix("$")  # many other filter languages write "$gte"
        operator = _ALIASES.get(operator, operator)
        if operator in _BOUNDS:
            bounds[operator] = operand
        else:
            conditions.append(_operation(field, operator, operand, str(name)))
    if bounds:
        conditions.append(_range(field, bounds))
    return conditions


def _operation(field: Field, operator: str, operand: Any, name: str) -> models.Condition:
    match operator:
        case "eq":
            return _equal(field, operand)
        case "ne":
            return _not(_equal(field, operand))
        case "in":
            return _any(field, _listed(field, name, operand))
        case "not_in":
            return _not(_any(field, _listed(field, name, operand)))
        case "exists":
            if not isinstance(operand, bool):
                raise FilterError(f"{name!r} of {field.key!r} takes True or False, got {operand!r}")
            return _not(_empty(field)) if operand else _empty(field)
    raise FilterError(
        f"unknown operator {name!r} for {field.key!r}; allowed: {', '.join(_OPERATORS)}"
    )


def _listed(field: Field, name: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list | tuple | set | frozenset):
        raise FilterError(f"{name!r} of {field.key!r} takes a list, got {operand!r}")
    return list(operand)


def _equal(field: Field, value: Any) -> models.Condition:
    if value is None:
        return _empty(field)
    value = _plain(value)
    if isinstance(value, date):
        return _range(field, {"gte": value, "lte": value})
    comparable = _comparable(field, value)
    return _or_fallback(field, lambda one: _same(one, comparable))


def _plain(value: Any) -> Any:
    """Return a value as metadata of its type is stored; dates stay, since they are ranges here."""
    return value if isinstance(value, date) else plain_values(value)


def _or_fallback(field: Field, condition: Callable[[Field], models.Condition]) -> models.Condition:
    """Let the fallback of a field count where the field itself has no value."""
    from qdrant_client import models

    if field.fallback is None:
        return condition(field)
    instead = models.Filter(must=[condition(field.fallback), _empty_here(field)])
    return models.Filter(should=[condition(field), instead])


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
    from qdrant_client import models

    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_MATCHED:
        value = int(value)
    reached: list[models.Condition] = [
        models.FieldCondition(key=path, **_test(value))
        for path in field.paths
        if isinstance(value, str | bool) or value <= LARGEST_MATCHED
    ]
    inexact = not isinstance(value, str | bool) and not is_exact(value)
    if not isinstance(value, str | bool) and field.tokens is not None:
        others = _tokens_near(field, field.tokens, value, lambda near: near != value)
        reached = [models.Filter(must=[test], must_not=[others]) for test in reached]
    if inexact or not reached:
        reached += _token_match(field, [value])
    return _one_of(reached)


def _test(value: str | float) -> dict[str, Any]:
    """Return the test of a field condition; a range finds integers and floats alike."""
    from qdrant_client import models

    if isinstance(value, str | bool) or (isinstance(value, int) and not is_exact(value)):
        return {"match": models.MatchValue(value=value)}
    return {"range": models.Range(gte=value, lte=value)}


def _any(field: Field, values: list[Any]) -> models.Condition:
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
        _equal(field, value)
        for value in values
        if not isinstance(value, str) and not (many and value in many)
    ]
    return _one_of(conditions)


_MANY = 64
"""Integers of one list; more are compared in one condition, with integers alone."""


def _any_text(field: Field, texts: list[str]) -> models.Condition:
    from qdrant_client import models

    match = models.MatchAny(any=texts)
    reached: list[models.Condition] = [
        models.FieldCondition(key=path, match=match) for path in field.paths
    ]
    return _one_of(reached or _token_match(field, texts))


def _any_integer(field: Field, integers: list[int]) -> models.Condition:
    from qdrant_client import models

    match = models.MatchAny(any=integers)
    reached: list[models.Condition] = [
        models.FieldCondition(key=path, match=match) for path in field.paths
    ]
    return _one_of(reached or _token_match(field, integers))


def _one_of(conditions: list[models.Condition]) -> models.Condition:
    """Match where one condition holds; no condition matches no point.

    Qdrant takes an empty ``should`` for no condition at all.
    """
    from qdrant_client import models

    if len(conditions) == 1:
        return conditions[0]
    if conditions:
        return models.Filter(should=conditions)
    empty = models.HasIdCondition(has_id=[])
    return models.Filter(must=[empty])


def _not(condition: models.Condition) -> models.Condition:
    from qdrant_client import models

    return models.Filter(must_not=[condition])


def _empty(field: Field) -> models.Condition:
    from qdrant_client import models

    here = _empty_here(field)
    if field.fallback is None:
        return here
    return models.Filter(must=[here, _empty_here(field.fallback)])


def _empty_here(field: Field) -> models.Condition:
    from qdrant_client import models

    empty: list[models.Condition] = [
        models.IsEmptyCondition(is_empty=models.PayloadField(key=path)) for path in field.paths
    ]
    given: list[models.Condition] = []
    if field.hidden and field.tokens is not None:
        present = [presence_token(names) for names in field.names]
        match = models.MatchAny(any=present)
        given = [models.FieldCondition(key=field.tokens, match=match)]
    return models.Filter(must=empty or None, must_not=given or None)


def _token_match(field: Field, values: Sequence[str | float]) -> list[models.Condition]:
    from qdrant_client import models

    if field.tokens is None:
        return []
    wanted = [value_token(names, value) for names in field.names for value in values]
    return [models.FieldCondition(key=field.tokens, match=models.MatchAny(any=wanted))]


_NEAR = 6
"""Floats on either side that a stored number may be mistaken for: it is off by two at most."""


def _tokens_near(
    field: Field, tokens: str, value: float, wanted: Callable[[float], bool]
) -> models.FieldCondition:
    """Match the tokens of the neighbours of a float that are wanted."""
    from qdrant_client import models

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
    return models.FieldCondition(key=tokens, match=models.MatchAny(any=listed))


def _range(field: Field, bounds: Mapping[str, Any]) -> models.Condition:
    numbers = [
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
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
        raise FilterError(f"the range of {field.key!r} mixes numbers and dates: {dict(bounds)}")
    dates = {name: _as_date(field, value) for name, value in bounds.items()}
    return _or_fallback(field, lambda one: _dates(one, dates))


def _all_bounds(field: Field, bounds: Mapping[str, float]) -> models.Condition:
    """Compare with every bound.

    Raises:
        FilterError: a bound that is no float.
    """
    from qdrant_client import models

    for bound in bounds.values():
        if isinstance(bound, int) and not is_exact(bound):
            raise FilterError(
                f"the range of {field.key!r} has the bound {bound}; ranges compare as floats, "
                "which tell integers apart up to 2**53; compare with eq or in, or store smaller "
                "numbers"
            )
    if field.tokens is None:
        ranges: list[models.Condition] = [
            models.FieldCondition(key=path, range=models.Range(**bounds)) for path in field.paths
        ]
        return _one_of(ranges)
    return models.Filter(must=[_bound(field, field.tokens, *named) for named in bounds.items()])


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
    from qdrant_client import models

    holds = _COMPARE[name]
    test = {name: bound}
    if not is_exact(bound):
        beside = _exact_beside(bound, -math.inf if name.startswith("g") else math.inf)
        test = {name.removesuffix("e"): beside}
    ranges: list[models.Condition] = [
        models.FieldCondition(key=path, range=models.Range(**test)) for path in field.paths
    ]
    inside = _tokens_near(field, tokens, bound, lambda near: holds(near, bound))
    outside = _tokens_near(field, tokens, bound, lambda near: not holds(near, bound))
    return models.Filter(should=[*ranges, inside], must_not=[outside])


def _exact_beside(bound: float, direction: float) -> float:
    """Return the next float that the engine reads exactly, or one that is near enough."""
    beside = bound
    for _ in range(_NEAR // 2):  # the tokens reach further than the engine errs beside it
        beside = math.nextafter(beside, direction)
        if is_exact(beside):
            break
    return beside


def _dates(field: Field, bounds: Mapping[str, date]) -> models.Condition:
    from qdrant_client import models

    ranges: list[models.Condition] = [
        models.FieldCondition(key=path, range=models.DatetimeRange(**bounds))
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
            f"the range of {field.key!r} has the bound {value!r}, allowed: finite numbers, dates, "
            "dates as ISO 8601 text"
        ) from err
