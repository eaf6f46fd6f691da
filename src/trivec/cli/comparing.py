"""``trivec compare``: whether one index, model or way to search is better than another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.cli.arguments import JsonOption, ModelOption, QuietOption
from trivec.cli.evaluating import (
    EvaluationArguments,
    evaluated_place,
    opened_over,
    own_folder,
    read_datasets,
    tell_failures,
    tell_missing,
)
from trivec.cli.exits import INCOMPLETE
from trivec.cli.paths import expanded
from trivec.cli.place import Place, chosen_encoder
from trivec.cli.progress import counted
from trivec.cli.terminal import print_json, say
from trivec.errors import InputError
from trivec.stores.edge.folder import IndexFolder

if TYPE_CHECKING:
    from trivec.encoders import FlagEncoder, OnnxEncoder
    from trivec.evaluation import Dataset, Evaluation, System
    from trivec.index import HybridIndex

__all__ = ["compare"]

SIDE = (
    'An index, a model, a settings file of "trivec tune", or a way to search: "dense", '
    '"hybrid, rrf" ...'
)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=SIDE)],
    second: Annotated[str, typer.Argument(metavar="B", help="What A is compared with, likewise.")],
    datasets: Annotated[
        list[str], typer.Argument(metavar="DATASET...", help="As 'trivec eval' takes them.")
    ],
    *,
    model: ModelOption = None,
    evaluating: EvaluationArguments,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say whether A is better than B: WIN, TIE or LOSS, by how much, and at what cost.

    A WIN is a gain whose whole 95 % interval, drawn by document, is above 0.
    """
    from trivec.evaluation import verdict

    if first == second:
        raise typer.BadParameter(f"A and B are both {first!r}; name two that differ")
    sides = [_side(first, model, evaluating), _side(second, model, evaluating)]
    tokenizer_of = chosen_encoder(None, sides[0].model or model, evaluating.device)
    verdicts, evaluations = {}, []
    for dataset in read_datasets(datasets, evaluating, tokenizer_of):
        one, other = (_evaluated(dataset, side, evaluating, quiet=quiet) for side in sides)
        verdicts[dataset.name] = verdict(one, other)
        evaluations += [one, other]
    tell_missing(evaluations)
    if as_json:
        print_json({"verdicts": {name: one.to_json() for name, one in verdicts.items()}})
    else:
        for name, told in verdicts.items():
            say(f"{name}: {told}" if len(verdicts) > 1 else str(told))
    if tell_failures(evaluations):
        raise typer.Exit(INCOMPLETE)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two that are compared."""

    name: str
    system: System
    model: str | None
    place: str | None


def _side(text: str, model: str | None, arguments: EvaluationArguments) -> _Side:
    """Tell what a side is: an index or a file is one where it is there, and a system by its words.

    What is neither is the name of a model.
    """
    from trivec.evaluation import System, load_settings

    path = expanded(text)
    if "://" in text or IndexFolder(path).exists():
        return _Side(text, System(), model, text)
    if path.suffix == ".json" and path.is_file():
        return _Side(text, load_settings(path), model, arguments.place)
    try:
        return _Side(text, System.from_text(text), model, arguments.place)
    except InputError:
        if "," in text or "+" in text:  # no model is called so
            raise
        return _Side(text, System(), text, arguments.place)


def _evaluated(
    dataset: Dataset, side: _Side, arguments: EvaluationArguments, *, quiet: bool
) -> Evaluation:
    from trivec.evaluation import EvaluationOptions, evaluate

    name = re.sub(r"[^\w.=+-]+", "-", side.name).strip("-")
    folder = expanded(arguments.to) / "results" / dataset.name / name
    options = EvaluationOptions(
        folder=own_folder(folder, fresh=arguments.fresh),
        depth=arguments.depth,
        prefix="" if side.name == str(side.system) else f"{side.name}: ",
    )
    with (
        _opened(dataset, side, arguments, quiet=quiet) as index,
        counted(quiet=quiet, begin=f"{side.name}: questions") as progress,
    ):
        return evaluate(dataset, index, [side.system], options, progress=progress)


@contextmanager
def _opened(
    dataset: Dataset, side: _Side, arguments: EvaluationArguments, *, quiet: bool
) -> Iterator[HybridIndex]:
    folder = expanded(arguments.to) / "indexes"
    with evaluated_place(replace(arguments, place=side.place)) as place:
        encoder = _encoder(side, arguments, place)
        with opened_over(dataset, encoder, place, folder, quiet=quiet) as index:
            yield index


def _encoder(
    side: _Side, arguments: EvaluationArguments, place: Place | None
) -> FlagEncoder | OnnxEncoder:
    schema = None if place is None else place.require_schema()
    return chosen_encoder(schema, side.model, arguments.device)
