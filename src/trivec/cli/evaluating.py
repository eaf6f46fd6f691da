"""``trivec eval``: every arm and every hybrid on questions whose answers are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.arms import COLBERT
from trivec.cli import variables
from trivec.cli.arguments import (
    MODEL_HELP,
    ChatArguments,
    DeviceOption,
    JsonOption,
    QuietOption,
)
from trivec.cli.chat import connected
from trivec.cli.exits import INCOMPLETE
from trivec.cli.paths import expanded
from trivec.cli.place import Place, chosen_encoder, open_place
from trivec.cli.progress import counted
from trivec.cli.rendering import evaluation_table
from trivec.cli.sampling import SAMPLE, sampled
from trivec.cli.terminal import complain, complain_each, print_json, say, show
from trivec.errors import CollectionNotFoundError
from trivec.evaluation.reading import AND_ASKED

if TYPE_CHECKING:
    from trivec.encoders import FlagEncoder, MemoEncoder, OnnxEncoder
    from trivec.evaluation import Dataset, Evaluation, System
    from trivec.index import HybridIndex
    from trivec.rewriting import Rewriter

__all__ = [
    "DATASET",
    "EvaluationArguments",
    "encoders_of",
    "eval",
    "evaluated_place",
    "opened_over",
    "own_folder",
    "read_datasets",
    "tell_failures",
    "tell_missing",
]

FAILURE_COLUMNS = ("dataset", "system", "why", "question", "relevant", "rank", "first")

MEMO = 20_000
"""Query texts that are kept for the next dataset with the same questions."""

MOST_FOR_COLBERT_ALONE = 500
"""Passages beyond which ColBERT alone, which has no index, takes longer than all else."""

DATASET = (
    "SQuAD-shaped .json, a folder in BEIR's or TREC's form, or a .csv with the columns question "
    "and passage or id. zh.json@en.json asks the questions of one over the passages of the other."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationArguments:
    """What systems are run on, and where that is kept."""

    place: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="PLACE",
            help="Over this index, a folder or a URL, instead of one of the dataset's passages.",
        ),
    ] = None
    collection: Annotated[
        str | None, typer.Option(help="The collection, where --index is a URL.")
    ] = None
    device: DeviceOption = "cpu"
    to: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Where results are kept; a run that was ended goes on there."
        ),
    ] = Path("trivec-eval")
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask everything again, whatever FOLDER holds.")
    ] = False
    chunk_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Split the paragraphs of SQuAD's form into passages."),
    ] = None
    split: Annotated[str | None, typer.Option(help="Of BEIR's qrels. Default: test.")] = None
    depth: Annotated[int, typer.Option(min=1, help="Passages that each question asks for.")] = 20


def eval(  # noqa: A001  # the command's name
    datasets: Annotated[
        list[str] | None, typer.Argument(metavar="[DATASET]...", help=DATASET)
    ] = None,
    *,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            envvar=variables.MODEL,
            help=MODEL_HELP,
        ),
    ] = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            help='"dense", "hybrid, rrf", "dense+bm25, linear, colbert=rescore" ...; may be '
            "repeated. Default: every arm and every hybrid. docs/evaluation.md has the grammar.",
        ),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option("--rerank", metavar="MODEL", help="And the default hybrid, reranked by it."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Besides, so many passages of --index, each with a question that 'trivec "
            "questions' wrote, or --chat-model writes now.",
        ),
    ] = None,
    evaluating: EvaluationArguments,
    chat: ChatArguments,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure every arm and every hybrid on questions whose answers are known.

    Several models are compared where --model is repeated.

    Writes report.json, report.md and report.html, which asks for nothing, into the folder.
    Ends with exit code 3 where a system was given up or questions failed.
    """
    from trivec.evaluation import System

    if not datasets and sample is None:
        raise typer.BadParameter("name a dataset, or give --index and --sample")
    if sample is not None and evaluating.place is None:
        raise typer.BadParameter("--sample draws passages of an index; name it by --index")
    chosen = [System.from_text(text) for text in systems or ()]  # before a model is loaded
    with evaluated_place(evaluating) as place:
        encoders = encoders_of(models or [], evaluating, place)
        run = _Run(evaluating, place, chosen, rerank, _rewriters(chat), quiet=quiet)
        read = read_datasets(datasets or [], evaluating, next(iter(encoders.values())), place)
        if sample is not None and place is not None:
            path = expanded(evaluating.to) / f"{SAMPLE}{sample}.csv"
            encoder = next(iter(encoders.values()))
            read.append(sampled(sample, path, place, encoder, chat, fresh=evaluating.fresh))
        evaluations = [run.evaluation(dataset, encoders) for dataset in read]
    tell_missing(evaluations)
    paths = _written(evaluations, expanded(evaluating.to))
    if as_json:
        from trivec.evaluation import as_json as json_of

        print_json({**json_of(evaluations), "files": [str(path) for path in paths]})
    else:
        for evaluation in evaluations:
            show(evaluation_table(evaluation))
        if not quiet:
            say(f"written: {', '.join(str(path) for path in paths)}")
    if tell_failures(evaluations):
        raise typer.Exit(INCOMPLETE)


@contextmanager
def evaluated_place(arguments: EvaluationArguments) -> Iterator[Place | None]:
    """Yield the index that was named, if one was."""
    if arguments.place is None:
        yield None
        return
    with open_place(arguments.place, arguments.collection) as place:
        yield place


def encoders_of(
    models: Sequence[str], arguments: EvaluationArguments, place: Place | None
) -> dict[str, FlagEncoder | OnnxEncoder]:
    """Return the models by their names; nothing is loaded yet.

    Raises:
        typer.BadParameter: several models for one index.
    """
    schema = None if place is None else place.require_schema()
    if place is not None and len(models) > 1:
        raise typer.BadParameter("--index has one model; leave --model out, or --index")
    chosen: list[str | None] = list(models) or [None]
    return {model or "": chosen_encoder(schema, model, arguments.device) for model in chosen}


def read_datasets(
    paths: Sequence[str],
    arguments: EvaluationArguments,
    encoder: FlagEncoder | OnnxEncoder,
    place: Place | None = None,
) -> list[Dataset]:
    """Read the datasets, and say on stderr what is wrong with them.

    Args:
        paths: of the datasets.
        arguments: how they are read.
        encoder: its tokenizer splits paragraphs.
        place: where there is one, the paragraphs of a file are split as its index has split them.

    Raises:
        InputError: one cannot be read.
    """
    datasets = []
    for path in paths:
        dataset = _read(path, arguments, encoder, place)
        complain_each(f"in {dataset.name}", [str(fault) for fault in dataset.faults])
        datasets.append(dataset)
    return datasets


def _read(
    path: str,
    arguments: EvaluationArguments,
    encoder: FlagEncoder | OnnxEncoder,
    place: Place | None,
) -> Dataset:
    from trivec.evaluation import read_dataset
    from trivec.evaluation.reading import read_over

    path = AND_ASKED.join(str(expanded(part)) for part in path.split(AND_ASKED))
    if place is not None:
        with place.open(encoder, create=False) as index:
            return read_over(path, (one.text for one in index.chunks()), split=arguments.split)
    tokens = arguments.chunk_tokens
    return read_dataset(
        path,
        split=arguments.split,
        tokenizer=None if tokens is None else encoder.tokenizer,
        max_tokens=tokens or 256,
    )


def _rewriters(chat: ChatArguments) -> dict[str, Rewriter]:
    if chat.chat_model is None:
        return {}
    from trivec.rewriting import KeywordRewriter

    return {"chat": KeywordRewriter(connected(chat.chat_model, chat))}


@contextmanager
def opened_over(
    dataset: Dataset,
    encoder: FlagEncoder | OnnxEncoder,
    place: Place | None,
    folder: Path,
    *,
    quiet: bool,
) -> Iterator[HybridIndex]:
    """Yield the index that was named, else one of the dataset's passages, kept in a folder."""
    from trivec.evaluation import indexed

    if place is not None:
        with place.open(encoder, create=False) as index:
            yield index
        return
    begin = f"{dataset.name}: passages"
    with counted(quiet=quiet, total=len(dataset.passages), begin=begin) as progress:
        opened = ExitStack()
        index = opened.enter_context(indexed(dataset, encoder, folder, progress=progress))
    with opened:
        yield index


class _Run:
    """One run over several datasets; what was encoded for one serves the next."""

    def __init__(
        self,
        arguments: EvaluationArguments,
        place: Place | None,
        systems: Sequence[System],
        rerank: str | None,
        rewriters: Mapping[str, Rewriter],
        *,
        quiet: bool,
    ) -> None:
        self._arguments = arguments
        self._place = place
        self._systems = list(systems)
        self._rerank = rerank
        self._rewriters = rewriters
        self._quiet = quiet
        self._memos: dict[str, MemoEncoder] = {}

    def evaluation(
        self, dataset: Dataset, encoders: Mapping[str, FlagEncoder | OnnxEncoder]
    ) -> Evaluation:
        """Run the systems on a dataset, by every model."""
        from trivec.evaluation import joined

        return joined(
            [
                self._by_model(dataset, name, encoder, several=len(encoders) > 1)
                for name, encoder in encoders.items()
            ]
        )

    def _by_model(
        self, dataset: Dataset, name: str, encoder: FlagEncoder | OnnxEncoder, *, several: bool
    ) -> Evaluation:
        from trivec.encoders import MemoEncoder
        from trivec.evaluation import EvaluationOptions, evaluate

        memo = self._memos.setdefault(
            name, MemoEncoder(encoder, heads=encoder.info.heads, size=MEMO)
        )
        folder = expanded(self._arguments.to)
        options = EvaluationOptions(
            folder=own_folder(folder / "results" / dataset.name, fresh=self._arguments.fresh),
            depth=self._arguments.depth,
            rewriters=self._rewriters,
            prefix=f"{Path(name).name}: " if several else "",
        )
        with (
            opened_over(
                dataset, encoder, self._place, folder / "indexes", quiet=self._quiet
            ) as index,
            counted(quiet=self._quiet, begin=f"{dataset.name}: questions") as progress,
        ):
            systems = self._systems or self._default(index, dataset)
            return evaluate(dataset, index.with_encoder(memo), systems, options, progress=progress)

    def _default(self, index: HybridIndex, dataset: Dataset) -> list[System]:
        """Return every arm and every hybrid, and what else is at hand."""
        from trivec.evaluation import System, default_systems
        from trivec.questions import QuestionIndex

        colbert_alone = System.from_text(COLBERT.name)
        try:
            QuestionIndex.open(index, create=False).close()
            questions = True
        except CollectionNotFoundError:
            questions = False
        if questions and dataset.name.startswith(SAMPLE):
            questions = False
            complain("note", f"the question index may hold {dataset.name}'s questions; left out")
        systems = default_systems(index.schema, reranker=self._rerank, questions=questions)
        if index.count() > MOST_FOR_COLBERT_ALONE and colbert_alone in systems:
            systems.remove(colbert_alone)
            complain(
                "note",
                f"colbert alone reads all of more than {MOST_FOR_COLBERT_ALONE} passages for every "
                "question, and is left out; --system colbert runs it",
            )
        return [*systems, *([System(rewriting="chat")] if self._rewriters else [])]


def own_folder(folder: Path, *, fresh: bool) -> Path:
    """Return a folder, without the results of an earlier run where none are wanted."""
    if fresh and folder.is_dir():
        for path in folder.rglob("*"):
            if path.is_file():
                path.unlink()
    return folder


def _written(evaluations: Sequence[Evaluation], folder: Path) -> list[Path]:
    from trivec.evaluation import as_html, as_json, as_markdown

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": json.dumps(as_json(evaluations), ensure_ascii=False, indent=2),
        "report.md": as_markdown(evaluations),
        "report.html": as_html(evaluations),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [*(folder / name for name in texts), _failures_written(evaluations, folder)]


def _failures_written(evaluations: Sequence[Evaluation], folder: Path) -> Path:
    """Write the questions that each system fails, so that a table program can group them."""
    from trivec.evaluation import as_failures

    path = folder / "failures.csv"
    rows = [
        row
        for one in evaluations
        for system in one.systems
        for row in as_failures(one, system.name)
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # spreadsheets want the mark
        writer = csv.DictWriter(file, FAILURE_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def tell_missing(evaluations: Sequence[Evaluation]) -> None:
    """Say which judged passages an index does not hold; of own passages the dataset said so."""
    from trivec.evaluation import DatasetFault

    for evaluation in evaluations:
        if evaluation.missing and not evaluation.dataset.passages:
            missing = tuple(sorted(evaluation.missing))
            fault = DatasetFault("judged passage that is not there", missing)
            complain(f"in {evaluation.dataset.name}", str(fault))


def tell_failures(evaluations: Sequence[Evaluation]) -> bool:
    """Say which systems and questions failed; return whether any did."""
    failed = False
    for evaluation in evaluations:
        for system in evaluation.systems:
            where = f"{evaluation.dataset.name}, {system.name}"
            if system.error:
                complain("given up", f"{where}: {system.error}")
            elif system.failed:
                first = system.failed[0]
                told = f"{len(system.failed)} questions, the first is {first.question!r}"
                complain("failed", f"{where}: {told}: {first.error}")
            failed = failed or bool(system.failed)
    return failed
