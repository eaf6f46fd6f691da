"""The command line: ``trivec index``, ``sync``, ``search``, ``ask``, ``info`` and others.

Results go to stdout, progress and warnings to stderr; with ``--json`` stdout is one JSON document.
The exit code is 0, 1 for an error (one line on stderr) or where ``questions`` could not write some,
2 for wrong usage, or 3 where a part was left out and the rest was done.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.arms import arm_names
from trivec.cli.arguments import (
    LISTED,
    CollectionOption,
    DeviceOption,
    JsonOption,
    OptionalPlaceArgument,
    PlaceArgument,
    complain,
    metadata_filter,
    print_json,
)
from trivec.cli.ask import ask
from trivec.cli.changing import add_arm, copy, delete
from trivec.cli.export import export
from trivec.cli.files import index, sync
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.questions import feedback, questions, searched
from trivec.cli.rendering import (
    hit_table,
    hits_json,
    rows_table,
    schema_table,
)
from trivec.cli.reranking import CANDIDATES, RerankOption, reranked
from trivec.cli.wording import in_options
from trivec.errors import TrivecError
from trivec.fusion import FusionName
from trivec.types import ColbertMode, SearchOptions

if TYPE_CHECKING:
    from trivec.schema import Schema

__all__ = ["LISTED", "app", "main"]

DEFAULTS = SearchOptions()
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h

app = typer.Typer(
    name="trivec",
    help="Index text into Qdrant with BGE-M3, and find it again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    try:
        app()
    except Exception as err:
        if logging.getLogger("trivec").isEnabledFor(logging.DEBUG):
            raise
        if isinstance(err, TrivecError):
            complain("error", in_options(str(err)))
            sys.exit(1)
        complain("error", f"{type(err).__name__}: {err} (unexpected; 'trivec --debug' shows more)")
        sys.exit(UNEXPECTED)


@app.callback()
def configure(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything, show tracebacks.")
    ] = False,
) -> None:
    """Index text into Qdrant with BGE-M3, and find it again."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s")
    logging.getLogger("trivec").setLevel(logging.DEBUG if debug else logging.WARNING)


@app.command()
def search(
    place: PlaceArgument,
    query: Annotated[str, typer.Argument(help="A question or keywords.")],
    *,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 10,
    arms: Annotated[
        str | None,
        typer.Option(help=f"{','.join(arm_names())}; with weights: dense=1,bm25=0.5"),
    ] = None,
    fusion: Annotated[
        FusionName, typer.Option(help="How the arms become one list.")
    ] = DEFAULTS.fusion,
    colbert: Annotated[
        ColbertMode | None, typer.Option(help="What stored ColBERT vectors do.")
    ] = None,
    filter_json: Annotated[
        str | None, typer.Option("--filter", help='Metadata as JSON: {"lang": "zh"}')
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every arm's score and the words that matched.")
    ] = False,
    with_questions: Annotated[
        bool, typer.Option("--questions", help="Search the passages' questions and feedback too.")
    ] = False,
    rerank: RerankOption = None,
    collection: CollectionOption = None,
    model: Annotated[str | None, typer.Option(help="Default: the one that wrote it.")] = None,
    device: DeviceOption = "cpu",
    mixed_precision: Annotated[
        bool,
        typer.Option(
            "--mixed-precision", help="Let an exported --model in int8 search an index in fp32."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that answer a question."""
    options = SearchOptions(arms=_arms(arms), fusion=fusion, colbert=colbert, explain=explain)
    conditions = metadata_filter(filter_json)
    with open_place(place, collection) as where:
        schema = where.require_schema()
        encoder = chosen_encoder(schema, model, device, mixed_precision=mixed_precision)
        with (
            where.open(encoder, create=False, mixed_precision=mixed_precision) as opened,
            searched(opened, questions=with_questions) as source,
        ):
            depth = k if rerank is None else max(k, CANDIDATES)
            hits = source.search(query, depth, filter=conditions, options=options)
    scores = None
    if rerank is not None:
        order = reranked(query, hits, k, rerank, device)
        hits, scores = [hit for hit, _ in order], [score for _, score in order]
    if as_json:
        print_json({"query": query, "hits": hits_json(hits, scores)})
    elif hits:
        _print(hit_table(hits, scores))
    else:
        complain("note", "no passage matches")


@app.command()
def info(
    place: OptionalPlaceArgument = None,
    *,
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an index holds and which model wrote it; without one, how this machine computes.

    That is which precision of an exported model runs here, and why. It is said of an index too
    that such a model wrote.
    """
    if place is None:
        from trivec._models.onnx_choice import describe

        said = describe()
        print_json({"machine": said}) if as_json else _print(rows_table(said))
        return
    with open_place(place, collection) as where:
        schema = where.require_schema()
        passages = where.count()
    machine = _machine_of(schema)
    if as_json:
        report = {"place": place, "passages": passages, "schema": schema.to_json()}
        print_json(report if machine is None else {**report, "machine": machine})
    else:
        _print(schema_table(place, passages, schema))
        if machine is not None:
            _print(rows_table(machine))


app.command()(index)
app.command()(sync)
app.command()(delete)
app.command()(copy)
app.command()(add_arm)
app.command()(ask)
app.command()(questions)
app.command()(feedback)
app.command()(export)


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


def _arms(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    arms = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            arms[name.strip()] = float(weight) if "=" in part else 1.0
        except ValueError as err:
            raise typer.BadParameter(f"--arms: {part!r} is not NAME or NAME=WEIGHT") from err
    return arms


def _print(what: Any) -> None:
    from rich.console import Console

    Console().print(what, highlight=False, soft_wrap=isinstance(what, str), markup=False)
