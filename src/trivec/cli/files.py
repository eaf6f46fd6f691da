"""``trivec index`` and ``trivec sync``: files into an index, and out of it when they are gone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.arms import arm_names
from trivec.cli.arguments import (
    CollectionOption,
    DeviceOption,
    JsonOption,
    PlaceArgument,
    QuietOption,
    complain,
    complain_each,
    print_json,
)
from trivec.cli.place import Place, chosen_encoder, open_place
from trivec.cli.progress import files_counted
from trivec.cli.rendering import left_out_json, summary
from trivec.errors import InputError

if TYPE_CHECKING:
    from trivec.ingest import SyncOptions, SyncReport

__all__ = ["index", "sync"]

INCOMPLETE = 3
"""Status where the rest was stored."""

PathsArgument = Annotated[
    list[Path], typer.Argument(exists=True, help="Files and folders; docs/files.md has formats.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="mini, a folder or a hub id. Default: the index's own; for a new one BAAI/bge-m3."
    ),
]
ColbertOption = Annotated[bool, typer.Option(help="Store ColBERT vectors in a new index.")]
ChunkTokensOption = Annotated[int, typer.Option(min=1, help="Most tokens of a passage.")]
OverlapOption = Annotated[int, typer.Option(min=0, help="Tokens repeated of the one before.")]
LateChunkingOption = Annotated[
    bool, typer.Option(help="Let every passage's vectors know its whole file (experimental).")
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        help="What sources are relative to. Default: the index's own; for a new one the folder "
        "given, or what all PATHS have in common."
    ),
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Of text files. Default: found by itself, or left out.")
]
TextColumnOption = Annotated[
    list[str] | None,
    typer.Option("--text-column", help="Column or key that is searched; may be repeated."),
]
FollowLinksOption = Annotated[
    bool, typer.Option("--follow-links", help="Follow links that stay inside their folder.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Fail (status 1) where anything was left out.")
]


def index(
    paths: PathsArgument,
    *,
    to: Annotated[str, typer.Option(help="The index folder, or a Qdrant server's URL.")],
    collection: CollectionOption = None,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    colbert: ColbertOption = False,
    chunk_tokens: ChunkTokensOption = 256,
    overlap: OverlapOption = 0,
    late_chunking: LateChunkingOption = False,
    root: RootOption = None,
    encoding: EncodingOption = None,
    text_columns: TextColumnOption = None,
    follow_links: FollowLinksOption = False,
    strict: StrictOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add files to an index, or create it. Unchanged passages are not encoded again.

    'trivec sync' does the same and forgets files that are gone. Ends with status 3 where files,
    pages or records were left out and the rest was stored.
    """
    from trivec.ingest import SyncOptions

    options = SyncOptions(
        max_tokens=chunk_tokens,
        overlap=overlap,
        reading=_reading(encoding, text_columns),
        follow_links=follow_links,
        late_chunking=late_chunking,
        prune=False,
    )
    start = perf_counter()
    with open_place(to, collection) as place:
        report = _synced(
            place,
            paths,
            root=root,
            options=options,
            model=model,
            device=device,
            colbert=colbert,
            quiet=quiet,
        )
    _show(report, to, perf_counter() - start, dry_run=False, quiet=quiet, as_json=as_json)
    _end(report, strict=strict)


def sync(
    place: PlaceArgument,
    paths: PathsArgument,
    *,
    collection: CollectionOption = None,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    colbert: ColbertOption = False,
    chunk_tokens: ChunkTokensOption = 256,
    overlap: OverlapOption = 0,
    late_chunking: LateChunkingOption = False,
    root: RootOption = None,
    encoding: EncodingOption = None,
    text_columns: TextColumnOption = None,
    follow_links: FollowLinksOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; encode and write nothing.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Forget all files of a folder that is empty now.")
    ] = False,
    strict: StrictOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an index hold what files and folders hold: new, changed, moved and deleted files.

    Moved files are not encoded again. Ends with status 3 where files, pages or records were left
    out, or passages of missing files were kept because a folder could not be listed.
    """
    from trivec.ingest import SyncOptions

    options = SyncOptions(
        max_tokens=chunk_tokens,
        overlap=overlap,
        reading=_reading(encoding, text_columns),
        follow_links=follow_links,
        late_chunking=late_chunking,
        allow_empty=allow_empty,
        dry_run=dry_run,
    )
    start = perf_counter()
    with open_place(place, collection) as where:
        if dry_run:
            where.require_schema()
        report = _synced(
            where,
            paths,
            root=root,
            options=options,
            model=model,
            device=device,
            colbert=colbert,
            quiet=quiet,
        )
    _show(report, place, perf_counter() - start, dry_run=dry_run, quiet=quiet, as_json=as_json)
    _end(report, strict=strict)


def _reading(encoding: str | None, text_columns: list[str] | None) -> Any:
    from trivec.ingest import ReadOptions

    return ReadOptions(
        encoding=encoding, text_columns=tuple(text_columns) if text_columns else None
    )


def _synced(
    place: Place,
    paths: list[Path],
    *,
    root: Path | None,
    options: SyncOptions,
    model: str | None,
    device: str,
    colbert: bool,
    quiet: bool,
) -> SyncReport:
    from trivec.index import IndexConfig
    from trivec.ingest import sync_folder

    with files_counted(quiet=quiet) as progress:
        encoder = chosen_encoder(place.schema(), model, device)
        config = IndexConfig(arms=arm_names() if colbert else None)
        with place.open(encoder, config=config, create=not options.dry_run) as target:
            report = sync_folder(
                target,
                paths,
                encoder.tokenizer,
                root=root,
                options=options,
                on_left_out=lambda _: None,
                progress=progress,
            )
            if not options.dry_run:
                target.optimize()
    return report


def _show(
    report: SyncReport, place: str, seconds: float, *, dry_run: bool, quiet: bool, as_json: bool
) -> None:
    passages = report.passages
    if as_json:
        print_json(
            {
                "place": place,
                **asdict(passages),
                "files": report.files,
                "root": report.root,
                "gone": list(report.gone),
                "kept": list(report.kept),
                "left_out": [left_out_json(one) for one in report.left_out],
                "dry_run": dry_run,
                "seconds": seconds,
            }
        )
        return
    complain_each("left out", [str(one) for one in report.left_out])
    complain_each("refused", [f"{one.id}: {one.reason}" for one in passages.refused])
    complain_each("truncated to what the model reads", passages.truncated)
    complain_each("kept, though its file is missing", report.kept)
    if any(one.expected and one.path.is_dir() for one in report.left_out) and report.kept:
        complain("note", "a folder is empty; --allow-empty forgets the files that it held")
    if not quiet:
        if dry_run:
            complain_each("would forget", report.gone)
        typer.echo(summary(passages, place, seconds, dry_run=dry_run))


def _end(report: SyncReport, *, strict: bool) -> None:
    if report.missed and strict:
        raise InputError(
            f"{report.missed} left out, the rest is stored; mend them, or omit --strict"
        )
    if report.missed:
        raise typer.Exit(INCOMPLETE)
