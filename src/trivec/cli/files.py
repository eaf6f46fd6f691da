"""``trivec index`` and ``trivec sync``: files into an index, and out of it when they are gone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.arms import arm_names
from trivec.cli import variables
from trivec.cli.arguments import (
    INDEX,
    FileArguments,
    IndexArguments,
    PathsArgument,
    PlaceArgument,
    ReportArguments,
)
from trivec.cli.exits import INCOMPLETE
from trivec.cli.paths import check_order
from trivec.cli.place import Place, chosen_encoder, open_place
from trivec.cli.progress import files_counted
from trivec.cli.rendering import left_out_json, summary
from trivec.cli.terminal import complain, complain_each, print_json, say
from trivec.cli.wording import in_options
from trivec.errors import InputError

if TYPE_CHECKING:
    from trivec.ingest import SyncOptions, SyncReport

__all__ = ["index", "sync"]


def index(
    paths: PathsArgument,
    *,
    to: Annotated[str, typer.Option(metavar="PLACE", envvar=variables.PLACE, help=INDEX)],
    opening: IndexArguments,
    files: FileArguments,
    reporting: ReportArguments,
) -> None:
    """Add files to an index, or create it. Unchanged passages are not encoded again.

    'trivec sync' does the same and forgets files that are gone. Ends with exit code 3 where files,
    pages or records were left out and the rest was stored.
    """
    _run(to, paths, opening, files, options=_options(files, prune=False), reporting=reporting)


def sync(
    place: PlaceArgument,
    paths: PathsArgument,
    *,
    opening: IndexArguments,
    files: FileArguments,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; encode and write nothing.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Forget all files of a folder that is empty now.")
    ] = False,
    reporting: ReportArguments,
) -> None:
    """Make an index hold what files and folders hold: new, changed, moved and deleted files.

    Moved files are not encoded again. Ends with exit code 3 where files, pages or records were
    left out, or passages of missing files were kept because a folder could not be listed.
    """
    check_order(place, paths, "sync")
    options = _options(files, prune=True, allow_empty=allow_empty, dry_run=dry_run)
    _run(place, paths, opening, files, options=options, reporting=reporting)


def _options(
    files: FileArguments, *, prune: bool, allow_empty: bool = False, dry_run: bool = False
) -> SyncOptions:
    from trivec.ingest import SyncOptions

    return SyncOptions(
        max_tokens=files.chunk_tokens,
        overlap=files.overlap,
        reading=files.reading(),
        follow_links=files.follow_links,
        late_chunking=files.late_chunking,
        prune=prune,
        allow_empty=allow_empty,
        dry_run=dry_run,
    )


def _run(
    place: str,
    paths: list[Path],
    opening: IndexArguments,
    files: FileArguments,
    *,
    options: SyncOptions,
    reporting: ReportArguments,
) -> None:
    start = perf_counter()
    with open_place(place, opening.collection) as where:
        if options.dry_run:
            where.require_schema()
        report = _synced(where, paths, opening, files, options, quiet=reporting.quiet)
    seconds = perf_counter() - start
    if reporting.as_json:
        print_json(_report_json(report, place, seconds, dry_run=options.dry_run))
    else:
        _tell(report)
        if not reporting.quiet:
            if options.dry_run:
                complain_each("would forget", report.gone)
            say(summary(report.passages, place, seconds, dry_run=options.dry_run))
    if report.missed and reporting.strict:
        raise InputError(
            f"{report.missed} left out, the rest is stored; mend them, or omit --strict"
        )
    if report.missed:
        raise typer.Exit(INCOMPLETE)


def _synced(
    place: Place,
    paths: list[Path],
    opening: IndexArguments,
    files: FileArguments,
    options: SyncOptions,
    *,
    quiet: bool,
) -> SyncReport:
    from trivec.index import IndexConfig
    from trivec.ingest import sync_folder

    with files_counted(quiet=quiet) as progress:
        encoder = chosen_encoder(place.schema(), opening.model, opening.device)
        config = IndexConfig(arms=arm_names() if files.colbert else None)
        with place.open(encoder, config=config, create=not options.dry_run) as target:
            report = sync_folder(
                target,
                paths,
                encoder.tokenizer,
                root=files.root,
                options=options,
                on_left_out=lambda _: None,
                progress=progress,
            )
            if not options.dry_run:
                target.optimize()
    return report


def _report_json(
    report: SyncReport, place: str, seconds: float, *, dry_run: bool
) -> dict[str, object]:
    return {
        "place": place,
        **asdict(report.passages),
        "files": report.files,
        "root": report.root,
        "gone": list(report.gone),
        "kept": list(report.kept),
        "left_out": [left_out_json(one) for one in report.left_out],
        "dry_run": dry_run,
        "seconds": seconds,
    }


def _tell(report: SyncReport) -> None:
    """Say on stderr what did not go in, and what stayed."""
    passages = report.passages
    complain_each("left out", [str(one) for one in report.left_out])
    complain_each("refused", [f"{one.id}: {in_options(one.reason)}" for one in passages.refused])
    complain_each("truncated to what the model reads", passages.truncated)
    complain_each("kept, though its file is missing", report.kept)
    if any(one.expected and one.path.is_dir() for one in report.left_out) and report.kept:
        complain("note", "a folder is empty; --allow-empty forgets the files that it held")
