"""``trivec info``: what an index holds, and how this machine computes."""

from __future__ import annotations

import re
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

_DIGEST = re.compile("[0-9a-f]{64}")


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

    That is what runs models here, in which precision, and why. It is said of an index too whose
    model runs in ONNX Runtime.
    """
    if place is None or machine:
        machine_said = _machine()
        print_json({"machine": machine_said}) if as_json else show(rows_table(machine_said))
        return
    with open_place(place, collection) as where:
        schema, passages, unindexed = where.contents()
    said = _machine_of(schema)
    if as_json:
        report = {"place": place, "passages": passages, "schema": schema.to_json()}
        report |= {"unindexed": unindexed}
        print_json(report if said is None else {**report, "machine": said})
    else:
        show(schema_table(place, passages, schema, unindexed))
        if said is not None:
            show(rows_table(said))


def _machine() -> dict[str, Any]:
    """Return what runs models on this machine, and how."""
    from trivec._models.backend import describe_backend

    backend, why = describe_backend()
    said = {"backend": f"{backend}: {why}"}
    if backend == "onnx":
        from trivec._models.onnx_choice import describe

        said |= describe()
    return said


def _machine_of(schema: Schema) -> dict[str, Any] | None:
    """Return how this machine runs the model of an index; None where PyTorch or a server does."""
    from trivec._models.backend import choose_backend

    if schema.fingerprint is None:
        return None
    model, precision = schema.fingerprint.encoder.model, schema.fingerprint.encoder.precision
    if not _DIGEST.fullmatch(schema.fingerprint.encoder.weights):  # a server computed the vectors
        return None
    if choose_backend(model, device="cpu", precision=precision, asked=None) != "onnx":
        return None
    try:
        return _machine()
    except TrivecError as err:  # the index is there all the same
        complain("note", str(err))
        return None
