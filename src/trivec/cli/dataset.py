"""``trivec dataset``, ``leaks``, ``keywords-dataset``: from questions to training examples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trivec.cli import variables
from trivec.cli.arguments import (
    MODEL_HELP,
    DeviceOption,
    IndexArguments,
    JsonOption,
    PlaceArgument,
    QuietOption,
)
from trivec.cli.exits import FAILED
from trivec.cli.paths import expanded
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.progress import counted
from trivec.cli.terminal import complain, complain_each, print_json, say

if TYPE_CHECKING:
    from trivec.index import HybridIndex
    from trivec.training.data import DatasetOptions, Gathered

__all__ = ["dataset", "keywords_dataset", "leaks"]

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Where the training data is.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheringArguments:
    """Where questions and passages come from."""

    place: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="PLACE",
            envvar=variables.PLACE,
            help="The index of the passages, a folder or a URL. Its questions are used: those of "
            "'trivec questions', and users' verdicts.",
        ),
    ] = None
    collection: Annotated[
        str | None, typer.Option(help="The collection, where --index is a URL.")
    ] = None
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Questions of your own, may be repeated: SQuAD-shaped .json, BEIR or TREC folder, "
            "FAQ or table (.csv), clicks (.jsonl). Without --index with the file's own passages.",
        ),
    ] = None
    model: Annotated[str | None, typer.Option(envvar=variables.MODEL, help=MODEL_HELP)] = None
    device: DeviceOption = "cpu"
    beir_split: Annotated[
        str | None, typer.Option("--split", help="Of BEIR's qrels. Default: test.")
    ] = None
    chunk_tokens: Annotated[
        int,
        typer.Option(min=16, help="Longest passage of a SQuAD-shaped file's own paragraphs."),
    ] = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleArguments:
    """What is kept, and how it is divided."""

    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Switch a rule off, may be repeated: duplicate, near duplicate, too short, "
            "too long, other language, copied, held out, unanswerable ...",
        ),
    ] = None
    within_rank: Annotated[
        int | None,
        typer.Option(min=1, help="Where a question's passage must come back. Default: 100."),
    ] = None
    dev: Annotated[float, typer.Option(help="Share of documents to choose models by.")] = 0.1
    test: Annotated[float, typer.Option(help="Share of documents to judge models by.")] = 0.2
    seed: Annotated[int, typer.Option(min=0, help="Of the division, and of random choices.")] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningArguments:
    """Which negatives questions get."""

    mining: Annotated[
        Literal["positive-aware", "ranks"],
        typer.Option(
            help="positive-aware: the first that score clearly less than the answer. ranks: "
            "ranks 10 to 100 at random, whatever they score."
        ),
    ] = "positive-aware"
    negatives: Annotated[int, typer.Option(min=1, help="Of a question.")] = 7
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="SYSTEM",
            help='How they are found: "dense", "bm25", "hybrid, rrf" ... Default: the hybrid.',
        ),
    ] = None
    margin: Annotated[
        float,
        typer.Option(help="Share of the answer's score that a negative has at most."),
    ] = 0.95
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank",
            metavar="MODEL",
            help="A cross-encoder that looks at negatives and gives the scores to distil from.",
        ),
    ] = None

    def options(self, rules: RuleArguments) -> DatasetOptions:
        """Return the options of the dataset."""
        from trivec.evaluation import System
        from trivec.training.data import (
            CleaningOptions,
            DatasetOptions,
            MiningOptions,
            SplitOptions,
        )
        from trivec.types import SearchOptions

        search = SearchOptions() if self.pool is None else System.from_text(self.pool).search
        if self.mining == "ranks":
            mining = MiningOptions.ranks(count=self.negatives, seed=rules.seed, search=search)
        else:
            mining = MiningOptions(
                count=self.negatives, margin=self.margin, seed=rules.seed, search=search
            )
        return DatasetOptions(
            cleaning=CleaningOptions(
                without=tuple(rules.without or ()),  # type: ignore[arg-type]  # it is checked
                within_rank=rules.within_rank,
            ),
            split=SplitOptions(dev=rules.dev, test=rules.test, seed=rules.seed),
            mining=mining,
        )


def dataset(
    folder: FolderArgument,
    *,
    gathering: GatheringArguments,
    rules: RuleArguments,
    mining: MiningArguments,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make training data: clean questions, split them by document, find hard negatives.

    The folder's train.jsonl and dev.jsonl are what trivec finetune and FlagEmbedding's trainers
    take. The folder itself is a dataset for 'trivec compare' and 'trivec eval': they ask the
    questions of its test set. dropped.jsonl names each question that is not used, and why. Run
    this again after a stop: it goes on where it was.
    """
    from trivec.training.data import build_dataset

    options, place = mining.options(rules), expanded(folder)
    with _gathered(gathering, place, quiet=quiet) as (found, index):
        complain_each("note", found.notes)
        reranker = None
        if mining.rerank is not None:
            from trivec.loading import load_reranker

            reranker = load_reranker(mining.rerank, device=gathering.device)
        with counted(quiet=quiet, begin="questions searched") as progress:
            report = build_dataset(
                found, index, place, options, reranker=reranker, progress=progress
            )
    if as_json:
        print_json({"folder": str(place), **report.to_json()})
    elif not quiet:
        say(f"{place}: {report}")


@contextmanager
def _gathered(
    arguments: GatheringArguments, folder: Path, *, quiet: bool
) -> Iterator[tuple[Gathered, HybridIndex]]:
    """Yield what was gathered, and the index that holds its passages."""
    from trivec.evaluation.formats.opening import form_of
    from trivec.training.data import gather, indexed_passages

    files = [expanded(path) for path in arguments.files or ()]
    if arguments.place is not None:
        with open_place(arguments.place, arguments.collection) as where:
            chosen = chosen_encoder(where.require_schema(), arguments.model, arguments.device)
            with where.open(chosen, create=False) as index:
                yield gather(index, files, split=arguments.beir_split), index
        return
    if not files:
        raise typer.BadParameter("name the passages: --index PLACE, or --from FILE")
    encoder = chosen_encoder(None, arguments.model, arguments.device)
    has_paragraphs = any(form_of(file) == ".json" for file in files)
    found = gather(
        files=files,
        split=arguments.beir_split,
        tokenizer=encoder.tokenizer if has_paragraphs else None,
        max_tokens=arguments.chunk_tokens,
    )
    with counted(quiet=quiet, begin="passages", total=len(found.passages)) as progress:
        opened = ExitStack()
        made = indexed_passages(found, encoder, folder / "index", progress=progress)
        index = opened.enter_context(made)
    with opened:
        yield found, index


def leaks(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Look for what is trained on and stands in the development or test set, too.

    The exit code is 1 where there is anything: the same passage or document, nearly the same text,
    nearly the same question.
    """
    from dataclasses import asdict

    from trivec.training.data import find_leaks

    found = find_leaks(expanded(folder))
    if as_json:
        print_json({"folder": str(folder), "leaks": [asdict(leak) for leak in found]})
    else:
        complain_each("leak", [str(leak) for leak in found])
        if not found:
            say(f"{folder}: no leaks")
    if found:
        raise typer.Exit(FAILED)


def keywords_dataset(
    place: PlaceArgument,
    folder: FolderArgument,
    *,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: FOLDER/keywords.jsonl.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Most keywords of a question.")] = 6,
    within: Annotated[
        int, typer.Option(min=1, help="Where the keywords must find the passage.")
    ] = 10,
    opening: IndexArguments,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make chats that teach a language model the words by which documents are found.

    A question of FOLDER/train.jsonl is answered by words of its passage: those with high sparse
    weights that are rare in the corpus, and that find the passage when they are searched for.
    Trainers of chat models take the file. 'trivec ask' and KeywordRewriter use the model.
    """
    from trivec.training.data import KeywordOptions, build_keyword_dataset

    source = expanded(folder) / "train.jsonl"
    target = expanded(to) if to is not None else expanded(folder) / "keywords.jsonl"
    with open_place(place, opening.collection) as where:
        chosen = chosen_encoder(where.require_schema(), opening.model, opening.device)
        with (
            where.open(chosen, create=False) as index,
            counted(quiet=quiet, begin="questions searched") as progress,
        ):
            report = build_keyword_dataset(
                index,
                source,
                target,
                KeywordOptions(count=count, within=within),
                progress=progress,
            )
    if as_json:
        print_json({"file": str(target), **report.to_json()})
    elif not quiet:
        say(
            f"{target}: {report.written} chats of {report.given} questions; by words they find "
            f"their passage at a mean reciprocal rank of {report.before:.3f}, with the keywords "
            f"{report.after:.3f}"
        )
    if not report.written:
        complain("note", "no question has keywords that find its passage")
