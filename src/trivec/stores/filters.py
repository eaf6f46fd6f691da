"""Filters: a plain dict shorthand for ``qdrant_client.models.Filter``, and how filters combine.

The shorthand maps metadata keys to conditions, all of which must hold::

    {"lang": "zh"}                                   equal; of a list value, one element is enough
    {"lang": ["zh", "en"]}                           any of these; an empty list matches nothing
    {"year": {"gte": 2020, "lt": 2024}}              a range of numbers
    {"published": {"gte": "2024-01-01"}}             of dates (ISO 8601 text, date, datetime)
    {"author": None}                                 missing, null or empty
    {"lang": {"ne": "en"}, "tag": {"not_in": [1]}}   unlike
    {"$or": [{...}, {...}], "$and": [...], "$not": {...}}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from trivec.errors import FilterError

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["all_of", "as_filter"]

Path: TypeAlias = Callable[[str], str]

_BOUNDS = ("gt", "gte", "lt", "lte")
_OPERATORS = (*_BOUNDS, "eq", "ne", "in", "not_in")
_LOGIC = ("$and", "$or", "$not")


def as_filter(
    value: models.Filter | Mapping[str, Any] | None, path: Callable[[str], str]
) -> models.Filter | None:
    """Return a filter of Qdrant's from the shorthand; one of Qdrant's own passes through.

    Args:
        value: the shorthand, a ``models.Filter``, or None for no filter. ``{}`` is no filter.
        path: returns the payload path of a metadata key: ``HybridIndex.codec.metadata_path``.

    Raises:
        FilterError: an unknown operator, a value that Qdrant cannot compare, an empty ``$or``.
    """
    if value is None:  # a search without a filter never imports the client, which takes a second
        return None
    from qdrant_client import models

    if isinstance(value, models.Filter):
        return value
    if not isinstance(value, Mapping):
        raise FilterError(
            f"the filter is a {type(value).__name__}, allowed: a dict over metadata keys, "
            "qdrant_client.models.Filter, None"
        )
    conditions = [_clause(key, operand, path) for key, operand in value.items()]
    return models.Filter(must=conditions) if conditions else None


def all_of(*filters: models.Filter | None) -> models.Filter | None:
    """Return a filter that all given ones must pass; None is no filter.

    The filters are nested whole: a ``should`` of one never widens another.
    """
    given = [each for each in filters if each is not None]
    if len(given) < 2:
        return given[0] if given else None
    from qdrant_client import models

    return models.Filter(must=list(given))


def _clause(key: str, operand: Any, path: Path) -> models.Condition:
    if not isinstance(key, str):
        raise FilterError(f"the filter has the key {key!r}, allowed: text")
    if not key.startswith("$"):
        return _field(path(key), operand)
    if key not in _LOGIC:
        raise FilterError(f"unknown operator {key!r}; allowed: {', '.join(_LOGIC)}")
    return _logic(key, operand, path)


def _logic(operator: str, operand: Any, path: Path) -> models.Condition:
    from qdrant_client import models

    parts = [operand] if operator == "$not" else operand
    if isinstance(parts, str | Mapping) or not isinstance(parts, Sequence) or not parts:
        raise FilterError(
            f"{operator!r} takes a list of filters with at least one, got {operand!r}"
        )
    filters = [as_filter(part, path) for part in parts]
    inner: list[models.Condition] = [each for each in filters if each is not None]
    if len(inner) < len(parts):
        raise FilterError(f"{operator!r} has an empty filter in it; leave it out")
    clause = {"$and": "must", "$or": "should", "$not": "must_not"}[operator]
    return models.Filter.model_validate({clause: inner})


def _field(key: str, operand: Any) -> models.Condition:
    from qdrant_client import models

    if isinstance(operand, Mapping):
        if not operand:
            raise FilterError(f"the condition on {key!r} is empty; leave it out")
        return models.Filter(must=_operations(key, operand))
    if isinstance(operand, list | tuple | set | frozenset):
        return _any(key, list(operand))
    return _equal(key, operand)


def _operations(key: str, operations: Mapping[str, Any]) -> list[models.Condition]:
    from qdrant_client import models

    bounds: dict[str, Any] = {}
    conditions: list[models.Condition] = []
    for name, operand in operations.items():
        operator = str(name).removeprefix("$")  # many other filter languages write "$gte"
        if operator in _BOUNDS:
            bounds[operator] = operand
        elif operator == "eq":
            conditions.append(_equal(key, operand))
        elif operator == "ne":
            conditions.append(models.Filter(must_not=[_equal(key, operand)]))
        elif operator in ("in", "not_in"):
            if isinstance(operand, str) or not isinstance(operand, list | tuple | set | frozenset):
                raise FilterError(f"{name!r} of {key!r} takes a list, got {operand!r}")
            among = _any(key, list(operand))
            conditions.append(among if operator == "in" else models.Filter(must_not=[among]))
        else:
            raise FilterError(
                f"unknown operator {name!r} for {key!r}; allowed: {', '.join(_OPERATORS)}"
            )
    if bounds:
        conditions.append(_range(key, bounds))
    return conditions


def _equal(key: str, value: Any) -> models.Condition:
    from qdrant_client import models

    if value is None:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
    if isinstance(value, float):
        return _range(key, {"gte": value, "lte": value})  # Qdrant matches no floats
    if isinstance(value, date):
        return _range(key, {"gte": value, "lte": value})
    if isinstance(value, UUID):
        value = str(value)
    if not isinstance(value, str | int):
        raise FilterError(
            f"{key!r} is compared with a {type(value).__name__}, allowed: text, numbers, bool, "
            "dates, None, lists of these, ranges"
        )
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _any(key: str, values: list[Any]) -> models.Condition:
    from qdrant_client import models

    if not values:
        return _nothing(key)
    kinds = {type(value) for value in values}
    if kinds in ({str}, {int}):
        return models.FieldCondition(key=key, match=models.MatchAny(any=values))
    return models.Filter(should=[_equal(key, value) for value in values])


def _nothing(key: str) -> models.Condition:
    """Match no point: Qdrant takes an empty ``should`` for no condition at all."""
    from qdrant_client import models

    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
    return models.Filter(must=[empty], must_not=[empty])


def _range(key: str, bounds: Mapping[str, Any]) -> models.Condition:
    from qdrant_client import models

    numbers = [
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in bounds.values()
    ]
    if all(numbers):
        return models.FieldCondition(key=key, range=models.Range(**bounds))
    if any(numbers):
        raise FilterError(f"the range of {key!r} mixes numbers and dates: {dict(bounds)}")
    dates = {name: _as_date(key, value) for name, value in bounds.items()}
    return models.FieldCondition(key=key, range=models.DatetimeRange(**dates))


def _as_date(key: str, value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as err:
        raise FilterError(
            f"the range of {key!r} has the bound {value!r}, allowed: finite numbers, dates, "
            "dates as ISO 8601 text"
        ) from err
