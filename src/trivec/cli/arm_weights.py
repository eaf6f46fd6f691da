"""``--arms`` in the forms that people write it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import typer

from trivec.arms import arm_names

__all__ = ["arm_weights"]

PARTING = re.compile(r"\s*[,;]\s*|\s+(?![=:])")
ITEM = re.compile(r"([^=:]+?)(?:\s*[=:]\s*([^=:]*))?")
AROUND = "[]{}()'\" \t"
FORM = "NAME or NAME=WEIGHT"


def arm_weights(given: Sequence[str] | None) -> dict[str, float] | None:
    """Return the arms with their weights, 1 where none was given.

    Commas, semicolons and spaces part them; the option may be repeated. Case does not matter.

    Raises:
        typer.BadParameter: one cannot be read, or is named twice with different weights.
    """
    if not given:
        return None
    arms: dict[str, float] = {}
    for part in _parts(given):
        name, weight = _read(part, arms)
        if arms.setdefault(name, weight) != weight:
            raise typer.BadParameter(f"--arms names {name!r} twice, with different weights")
    if not arms:
        raise typer.BadParameter(f"--arms names none; choose from {', '.join(arm_names())}")
    return arms


def _parts(given: Sequence[str]) -> list[str]:
    """Return what stands between the parting signs; a space beside = or : parts nothing."""
    text = re.sub(r"\s*([=:])\s*", r"\1", ",".join(one.strip(AROUND) for one in given))
    return [part for part in (one.strip(AROUND) for one in PARTING.split(text)) if part]


def _read(part: str, before: dict[str, float]) -> tuple[str, float]:
    if before and part.isdigit():
        raise typer.BadParameter(
            f"--arms: {part!r} is not {FORM}; a weight has a decimal point: dense=0.5"
        )
    match = ITEM.fullmatch(part)
    if match is None:
        raise typer.BadParameter(f"--arms: {part!r} is not {FORM}")
    name = match[1].strip(AROUND)
    name = name.lower() if name.lower() in arm_names() else name
    try:
        return name, 1.0 if match[2] is None else float(match[2])
    except ValueError as err:
        raise typer.BadParameter(f"--arms: {part!r} is not {FORM}") from err
