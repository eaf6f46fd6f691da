"""``trivec check``: whether an index in a folder is what was written, and its repair."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.cli import variables
from trivec.cli.arguments import DeviceOption, JsonOption, ModelOption
from trivec.cli.exits import INCOMPLETE
from trivec.cli.paths import expanded
from trivec.cli.place import Place, chosen_encoder
from trivec.cli.terminal import complain, complain_each, print_json, say

if TYPE_CHECKING:
    from trivec.index import CheckReport

__all__ = ["check"]


def check(
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="An index folder.", envvar=variables.PLACE)
    ],
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Keep what is sound, encode again what lacks vectors.")
    ] = False,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Read a whole index and say what is wrong with it; with --repair, mend it.

    Ends with exit code 3 where something is wrong, or is lost after a repair.
    """
    from trivec.index import check_index

    folder = expanded(place)
    report = check_index(folder, repair=repair)
    if repair and report.unfinished:
        encoder = chosen_encoder(Place(folder, None).require_schema(), model, device)
        encoded = check_index(folder, encoder, repair=True).encoded
        report = replace(report, encoded=encoded, repaired=True)
    if as_json:
        values = {**asdict(report), "missing": report.missing, "sound": report.is_sound}
        print_json({"place": place, **values})
    else:
        _tell(place, report)
    if not report.is_sound:
        raise typer.Exit(INCOMPLETE)


def _tell(place: str, report: CheckReport) -> None:
    lines = [f"{name} {what}" for name, what in report.files.items()]
    lines += [f"point {one.id}: {one.reason}" for one in report.lost]
    complain_each("damaged", lines)
    if report.unfinished:
        complain("note", f"{len(report.unfinished)} points lack a vector")
    if report.repaired:
        say(
            f"{place}: repaired, {report.points} points kept, {report.encoded} encoded again, "
            f"{report.missing} lost"
        )
        if report.kept is not None:
            complain("note", f"the damaged files are in {report.kept}; delete them in the end")
        if report.missing:
            complain("note", "index the same files again: what is lost is added, the rest skipped")
    elif report.is_sound:
        say(f"{place}: sound, {report.points} points")
    else:
        say(f"{place}: damaged; mend it with --repair")
