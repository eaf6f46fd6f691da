"""``trivec tune``: how to search, chosen on half of the documents and judged on the others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trivec.cli.arguments import JsonOption, ModelOption, QuietOption
from trivec.cli.evaluating import (
    DATASET,
    EvaluationArguments,
    encoders_of,
    evaluated_place,
    opened_over,
    own_folder,
    read_datasets,
)
from trivec.cli.paths import expanded
from trivec.cli.progress import counted
from trivec.cli.terminal import print_json, say

__all__ = ["tune"]


def tune(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=DATASET)],
    *,
    settings: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the way to search is written.")
    ] = Path("settings.json"),
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="Questions that judge, over the same passages; all of DATASET choose then.",
        ),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option(metavar="SYSTEM", help='What is begun with. Default: "hybrid".'),
    ] = None,
    model: ModelOption = None,
    evaluating: EvaluationArguments,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Choose fusion, weights, depth, ColBERT and thresholds on half of the documents.

    Only what the choice gains on the other half is shown. Where that may be chance, it says so,
    and what was begun with is written. 'trivec search --settings' takes the file.
    """
    from trivec.evaluation import EvaluationOptions, System, save_settings
    from trivec.evaluation import tune as tuned

    start = System() if begin is None else System.from_text(begin)
    with evaluated_place(evaluating) as place:
        (encoder,) = encoders_of([model] if model else [], evaluating, place).values()
        given = [dataset] if held_out is None else [dataset, held_out]
        read, *judging = read_datasets(given, evaluating, encoder, place)
        folder = expanded(evaluating.to)
        results = own_folder(folder / "results" / read.name / "tune", fresh=evaluating.fresh)
        options = EvaluationOptions(folder=results, depth=evaluating.depth)
        with (
            opened_over(read, encoder, place, folder / "indexes", quiet=quiet) as index,
            counted(quiet=quiet, begin="questions") as progress,
        ):
            tuning = tuned(
                read, index, start, options, held_out=next(iter(judging), None), progress=progress
            )
    path = expanded(settings)
    told = None if tuning.verdict is None else tuning.verdict.to_json()
    save_settings(tuning.system, path, {"dataset": read.name, "verdict": told})
    if as_json:
        print_json({**asdict(tuning), "system": str(tuning.system), "file": str(path)})
        return
    say(str(tuning))
    if not quiet:
        say(f"written: {path} ({tuning.system})")
