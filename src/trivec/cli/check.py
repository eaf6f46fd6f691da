"""``trivec check``: whether an index in a folder is what was written, and its repair."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.cli.arguments import DeviceOption, JsonOption, complain, print_json
from trivec.cli.place import Place, chosen_encoder

if TYPE_CHECKING:
    from trivec.index import CheckReport

__all__ = ["check"]

LISTED = 20
DAMAGED = 3
"""Status where something is wrong, or is lost after a repair."""


def check(
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="An index folder.")],
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Keep what is sound, encode again what lacks vectors.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Default: the one that wrote it.")] = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Read a whole index and say what is wrong with it; with --repair, mend it.

    Ends with status 3 where something is wrong, or is lost after a repair.
    """
    from trivec.index import check_index

    report = check_index(place, repair=repair)
    if repair and report.unfinished:
        encoder = chosen_encoder(Place(place, None).require_schema(), model, device)
        encoded = check_index(place, encoder, repair=True).encoded
        report = replace(report, encoded=encoded, repaired=True)
    if as_json:
        values = {**asdict(report), "missing": report.missing, "sound": report.is_sound}
        print_json({"place": str(place), **values})
    else:
        _tell(place, report)
    if not report.is_sound:
        raise typer.Exit(DAMAGED)


def _tell(place: Path, report: CheckReport) -> None:
    lines = [f"{name} {what}" for name, what in report.files.items()]
    lines += [f"point {one.id}: {one.reason}" for one in report.lost]
    for line in lines[:LISTED]:
        complain("damaged", line)
    if len(lines) > LISTED:
        complain("damaged", f"{len(lines) - LISTED} more; --json lists all")
    if report.unfinished:
        complain("note", f"{len(report.unfinished)} points lack a vector")
    if report.repaired:
        typer.echo(
            f"{place}: repaired, {report.points} points kept, {report.encoded} encoded again, "
            f"{report.missing} lost"
        )
        if report.kept is not None:
            complain("note", f"the damaged files are in {report.kept}; delete them in the end")
        if report.missing:
            complain("note", "index the same files again: what is lost is added, the rest skipped")
    elif report.is_sound:
        typer.echo(f"{place}: sound, {report.points} points")
    else:
        typer.echo(f"{place}: damaged; mend it with --repair")
