"""Reports: counted in a tally while the work goes on, frozen when it is done."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

__all__ = ["frozen"]

R = TypeVar("R")


def frozen(report: type[R], tally: object) -> R:
    """Return a report with the tally's values of the same names; lists become tuples.

    Args:
        report: a frozen dataclass.
        tally: an object with an attribute for each of its fields.
    """
    kind: Any = report
    counted = {field.name: getattr(tally, field.name) for field in fields(kind)}
    return report(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in counted.items()
        }
    )
