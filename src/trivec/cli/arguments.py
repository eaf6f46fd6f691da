"""What several commands take, and how all of them speak."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

__all__ = [
    "CollectionOption",
    "DeviceOption",
    "JsonOption",
    "OptionalPlaceArgument",
    "PlaceArgument",
    "complain",
    "metadata_filter",
    "print_json",
]

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
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")]


def metadata_filter(text: str | None) -> dict[str, Any] | None:
    """Read ``--filter``.

    Raises:
        typer.BadParameter: it is no JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise typer.BadParameter(f"--filter is not JSON: {err}") from err
    if not isinstance(value, dict):
        raise typer.BadParameter(f"--filter must be a JSON object, not {text}")
    return value


def complain(kind: str, message: str) -> None:
    """Say something in one line on stderr."""
    line = "; ".join(part.strip() for part in message.splitlines() if part.strip())
    typer.echo(f"{kind}: {line}", err=True)


def print_json(value: Any) -> None:
    """Print the one JSON document of a command."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
