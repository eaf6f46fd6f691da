"""``trivec info``: what an index holds, and how this machine computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.cli.arguments import CollectionOption, JsonOption, OptionalPlaceArgument
from trivec.cli.place import open_place
from trivec.cli.rendering import rows_table, schema_table
from trivec.cli.terminal import complain, print_json, show
from trivec.errors import TrivecError

if TYPE_CHECKING:
    from trivec.schema import Schema

__all__ = ["info"]


def info(
    place: OptionalPlaceArgument = None,
    *,
    machine: Annotated[
        bool, typer.Option("--machine", help="About this machine, whatever PLACE is.")
    ] = False,
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an index holds and which model wrote it; without one, how this machine computes.

    That is which precision of an exported model runs here, and why. It is said of an index too
    that such a model wrote.
    """
    if place is None or machine:
        from trivec._models.onnx_choice import describe

        machine_said = describe()
        print_json({"machine": machine_said}) if as_json else show(rows_table(machine_said))
        return
    with open_place(place, collection) as where:
        schema = where.require_schema()
        passages = where.count()
        unindexed = where.unindexed(schema)
    said = _machine_of(schema)
    if as_json:
        report = {"place": place, "passages": passages, "schema": schema.to_json()}
        report |= {"unindexed": unindexed}
        print_json(report if said is None else {**report, "machine": said})
    else:
        show(schema_table(place, passages, schema, unindexed))
        if said is not None:
            show(rows_table(said))


def _machine_of(schema: Schema) -> dict[str, Any] | None:
    """Return how this machine runs the exported model of an index; None for other models."""
    from trivec._models.onnx_folder import MANIFEST

    if schema.fingerprint is None:
        return None
    if not Path(schema.fingerprint.encoder.model).joinpath(MANIFEST).is_file():
        return None
    from trivec._models.onnx_choice import describe

    try:
        return describe()
    except TrivecError as err:  # the index is there all the same
        complain("note", str(err))
        return None
