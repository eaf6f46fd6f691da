"""Filters with long lists, written as strict mode takes them: several short ones, joined by OR."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trivec.query import Filter

__all__ = ["sliced"]

_CLAUSES = ("must", "should", "must_not")


def sliced(filter: Filter, most: int, conditions: int | None) -> Filter:
    """Return the same filter without lists of more than ``most`` values.

    It stays whole where it would have more than ``conditions`` conditions, and the server names
    the limit. So does a list of ``except``: an element beyond one slice may be in the next.
    """
    shorter: Filter = _sliced(filter, max(1, most))
    if conditions is not None and sum(1 for _ in _leaves(shorter)) > conditions:
        return filter
    return shorter


def _sliced(condition: Any, most: int) -> Any:
    from qdrant_client import models

    match condition:
        case list():
            return [_sliced(one, most) for one in condition]
        case models.Filter():
            parts = {name: _sliced(getattr(condition, name), most) for name in _CLAUSES}
            return condition.model_copy(
                update={**parts, "min_should": _sliced(condition.min_should, most)}
            )
        case models.MinShould():
            return condition.model_copy(update={"conditions": _sliced(condition.conditions, most)})
        case models.NestedCondition(nested=nested):
            inner = nested.model_copy(update={"filter": _sliced(nested.filter, most)})
            return models.NestedCondition(nested=inner)
        case (
            models.HasIdCondition(has_id=values)
            | models.FieldCondition(match=models.MatchAny(any=values))
        ) if len(values) > most:
            starts = range(0, len(values), most)
            return models.Filter(
                should=[_with(condition, [*values][start : start + most]) for start in starts]
            )
    return condition


def _with(condition: Any, values: list[Any]) -> Any:
    from qdrant_client import models

    if isinstance(condition, models.HasIdCondition):
        return models.HasIdCondition(has_id=values)
    return condition.model_copy(update={"match": models.MatchAny(any=values)})


def _leaves(condition: Any) -> Iterator[Any]:
    """Yield the conditions that a server counts: those that hold no others."""
    from qdrant_client import models

    match condition:
        case None:
            return
        case list():
            inner = condition
        case models.Filter():
            inner = [getattr(condition, name) for name in (*_CLAUSES, "min_should")]
        case models.MinShould():
            inner = condition.conditions
        case models.NestedCondition():
            inner = [condition.nested.filter]
        case _:
            yield condition
            return
    for part in inner:
        yield from _leaves(part)
