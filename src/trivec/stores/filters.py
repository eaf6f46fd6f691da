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

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from trivec._runtime.checks import check_depth, shown
from trivec._runtime.plain import own_text
from trivec._runtime.typed import checked
from trivec.conditions import is_filter, of_one_kind, qdrant
from trivec.errors import FilterError, InputError
from trivec.payloads.fields import Field
from trivec.query import Filter
from trivec.schema import MAX_DEPTH
from trivec.stores.comparing import any_of, empty, equal, in_range, negated

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
    value: Filter | Mapping[str, Any] | None, fields: Callable[[str], Field]
) -> Filter | None:
    """Return a filter of Qdrant's from the shorthand; one of Qdrant's own passes through.

    Args:
        value: the shorthand, a ``models.Filter``, or None for no filter. ``{}`` is no filter.
        fields: returns where a metadata key lies: :meth:`trivec.HybridIndex.field`.

    Raises:
        FilterError: an unknown operator, a value that Qdrant cannot compare, an empty ``$or``, or
            more levels than the engines can read.
    """
    if value is None:
        return None
    if is_filter(value):
        filter = cast("Filter", of_one_kind(value))
        _require_levels(filter, MAX_DEPTH)
        return filter
    try:
        check_depth("the filter", value, MAX_DEPTH)
    except InputError as err:
        raise FilterError(str(err)) from err
    translated = _from_shorthand(value, fields)
    if translated is not None:
        _require_levels(translated, MAX_DEPTH)
    return translated


def require_storable_filter(filter: Filter | None) -> None:
    """Raise where an engine could write a filter to its log, or a server get it, and not read it.

    A filter may have some levels more here than its user wrote: a tenant's, say.

    Raises:
        FilterError: it is not a filter of Qdrant's, or has too many levels.
    """
    if filter is None:
        return
    if not is_filter(filter):
        raise FilterError(f"filter={shown(filter)}; allowed: qdrant_client.models.Filter, None")
    _require_levels(filter, MAX_DEPTH + _LEVELS_AROUND)


_LEVELS_AROUND = 8
"""Levels that trivec may put around a filter; gRPC takes 47 in a fused search, the engine's log
62."""


def _require_levels(filter: Filter, most: int) -> None:
    stack: list[tuple[Any, int]] = [(filter, 1)]
    while stack:
        condition, depth = stack.pop()
        if type(condition).__name__ == "NestedCondition":  # the client's alone
            stack.append((condition.nested.filter, depth + 1))
        if not is_filter(condition):
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
    if not isinstance(value, Mapping):
        raise FilterError(
            f"the filter is a {type(value).__name__}, allowed: a dict over metadata keys, "
            "qdrant_client.models.Filter, None"
        )
    conditions = [_clause(key, operand, fields) for key, operand in value.items()]
    return qdrant.Filter(must=conditions) if conditions else None


def all_of(*filters: models.Filter | None) -> models.Filter | None:
    """Return a filter that all given ones must pass; None is no filter.

    The filters are nested whole: a ``should`` of one never widens another.
    """
    given = [filter for filter in filters if filter is not None]
    if len(given) < 2:
        return given[0] if given else None
    return qdrant.Filter(must=list(given))


def _clause(key: str, operand: Any, fields: Fields) -> models.Condition:
    if not isinstance(key, str):
        raise FilterError(f"the filter has the key {shown(key)}, allowed: text")
    if key in _LOGIC:
        return _logic(key, operand, fields)
    if key in _FOREIGN:
        raise FilterError(
            f"unknown operator {shown(key)} in a key's place; allowed: {', '.join(_LOGIC)}"
        )
    return _field(fields(key), operand)


def _logic(operator: str, operand: Any, fields: Fields) -> models.Condition:
    parts = [operand] if operator == "$not" else operand
    if isinstance(parts, str | Mapping) or not isinstance(parts, Sequence) or not parts:
        raise FilterError(
            f"{operator!r} takes a list of filters with at least one, got {shown(operand)}"
        )
    filters = [
        of_one_kind(part) if part is None or is_filter(part) else _from_shorthand(part, fields)
        for part in parts
    ]
    inner: list[models.Condition] = [filter for filter in filters if filter is not None]
    if len(inner) < len(parts):
        raise FilterError(f"{operator!r} has an empty filter in it; leave it out")
    clause = {"$and": "must", "$or": "should", "$not": "must_not"}[operator]
    given: dict[str, Any] = {clause: inner}
    return qdrant.Filter(**given)


def _field(field: Field, operand: Any) -> models.Condition:
    if isinstance(operand, Mapping):
        if not operand:
            raise FilterError(f"the condition on {field.key!r} is empty; leave it out")
        return qdrant.Filter(must=_operations(field, operand))
    if isinstance(operand, list | tuple | set | frozenset):
        return any_of(field, list(operand))
    return equal(field, operand)


def _operations(field: Field, operations: Mapping[str, Any]) -> list[models.Condition]:
    bounds: dict[str, Any] = {}
    conditions: list[models.Condition] = []
    for name, operand in operations.items():
        operator = own_text(name).removeprefix("$")  # many other filter languages write "$gte"
        operator = _ALIASES.get(operator, operator)
        if operator in _BOUNDS:
            bounds[operator] = operand
        else:
            conditions.append(_operation(field, operator, operand, own_text(name)))
    if bounds:
        conditions.append(in_range(field, bounds))
    return conditions


def _operation(field: Field, operator: str, operand: Any, name: str) -> models.Condition:
    match operator:
        case "eq":
            return equal(field, operand)
        case "ne":
            return negated(equal(field, operand))
        case "in":
            return any_of(field, _listed(field, name, operand))
        case "not_in":
            return negated(any_of(field, _listed(field, name, operand)))
        case "exists":
            if not isinstance(operand, bool):
                raise FilterError(
                    f"{name!r} of {field.key!r} takes True or False, got {shown(operand)}"
                )
            return negated(empty(field)) if operand else empty(field)
    raise FilterError(
        f"unknown operator {name!r} for {field.key!r}; allowed: {', '.join(_OPERATORS)}"
    )


def _listed(field: Field, name: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list | tuple | set | frozenset):
        raise FilterError(f"{name!r} of {field.key!r} takes a list, got {shown(operand)}")
    return list(operand)
