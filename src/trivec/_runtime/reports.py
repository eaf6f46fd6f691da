"""Reports: counted in a tally while the work goes on, frozen when it is done."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from trivec.types import AddReport

__all__ = ["frozen", "warn_of_losses"]

_NAMED = 3
"""Refusals that a warning quotes; the report has them all."""

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


def warn_of_losses(report: AddReport, logger: logging.Logger) -> None:
    """Say in one warning how many passages were refused; the index itself tells of those cut."""
    if report.refused:
        first = "; ".join(f"{one.id}: {one.reason}" for one in report.refused[:_NAMED])
        logger.warning(
            "%d passages were refused and are not stored, the others are; last_report names them "
            "(%s)",
            len(report.refused),
            first,
        )
