"""Groups of options: a frozen dataclass that several commands take as one argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any, get_type_hints

__all__ = ["grouped"]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Spread the fields of a command's dataclass arguments into options of their own.

    typer reads a function's parameters and knows no groups. It is given one parameter for each
    field; the command gets the dataclass.
    """
    asked = signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in asked.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def spread(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    parameters: list[Parameter] = []
    for name, parameter in asked.parameters.items():
        parameters += _of_fields(groups[name]) if name in groups else [parameter]
    spread.__signature__ = asked.replace(parameters=parameters)  # type: ignore[attr-defined]
    return spread


def _of_fields(group: Any) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
