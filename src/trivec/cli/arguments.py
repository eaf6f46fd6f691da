"""What several commands take, and how all of them speak."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

__all__ = [
    "LISTED",
    "CollectionOption",
    "DeviceOption",
    "JsonOption",
    "OptionalPlaceArgument",
    "PlaceArgument",
    "QuietOption",
    "complain",
    "complain_each",
    "metadata_filter",
    "print_json",
]

LISTED = 20
"""Lines of one kind on stderr; ``--json`` lists all."""

PlaceArgument = Annotated[
    str, typer.Argument(metavar="PLACE", help="An index folder, or a Qdrant server's URL.")
]
OptionalPlaceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[PLACE]",
        help="An index folder, or a Qdrant server's URL; without one: about this machine.",
    ),
]
CollectionOption = Annotated[
    str | None, typer.Option(help="The collection, where PLACE is a URL. Key: QDRANT_API_KEY.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no report.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")]


def metadata_filter(text: str | None) -> dict[str, Any] | None:
    """Read ``--filter``.

    Raises:
        typer.BadParameter: it is not a JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as err:
        raise typer.BadParameter(f"--filter is not JSON: {err}") from err
    if not isinstance(value, dict):
        raise typer.BadParameter(f"--filter must be a JSON object, not {text}")
    return value


def complain(kind: str, message: str) -> None:
    """Say something in one line on stderr."""
    line = "; ".join(part.strip() for part in message.splitlines() if part.strip())
    typer.echo(f"{kind}: {line}", err=True)


def complain_each(kind: str, messages: Sequence[str]) -> None:
    """Say several things of one kind, a line each; a long list is cut short."""
    for message in messages[:LISTED]:
        complain(kind, message)
    if len(messages) > LISTED:
        complain(kind, f"{len(messages) - LISTED} more; --json lists all")


def print_json(value: Any) -> None:
    """Print the one JSON document of a command."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
