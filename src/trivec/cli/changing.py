"""``trivec delete``, ``trivec copy`` and ``trivec add-arm``: an index changed without its files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.arms import arm_names
from trivec.cli import variables
from trivec.cli.arguments import (
    INDEX,
    CollectionOption,
    FilterOption,
    IndexArguments,
    JsonOption,
    PlaceArgument,
    QuietOption,
    metadata_filter,
)
from trivec.cli.paths import expanded
from trivec.cli.place import Place, StoredModel, chosen_encoder, open_place
from trivec.cli.progress import passages_counted
from trivec.cli.terminal import complain, print_json, say

if TYPE_CHECKING:
    from trivec.index import HybridIndex
    from trivec.schema import Schema

__all__ = ["add_arm", "copy", "delete"]

NOTHING = "say which passages: --id, --source or --filter; given together, all must hold"


def delete(
    place: PlaceArgument,
    *,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Id of a passage; may be repeated.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="All passages of this source.")] = None,
    filter_json: FilterOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them; delete nothing.")] = False,
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete passages by id, source or metadata. Options given together must all hold."""
    if not ids and source is None and filter_json is None:
        raise typer.BadParameter(NOTHING)
    from trivec.index.hybrid import binding_of

    conditions = metadata_filter(filter_json)
    if not ids and source is None and not conditions:
        raise typer.BadParameter(f"an empty --filter names no passage; {NOTHING}")
    with open_place(place, collection) as where:
        schema = where.require_schema()
        encoder = StoredModel(schema)
        with where.open(encoder, create=False) as index:
            if dry_run:
                count = index.count(binding_of(index).selection(ids, source, conditions))
            else:
                count = index.delete(ids=ids, source=source, filter=conditions)
                index.optimize()
    if as_json:
        print_json({"place": place, "deleted": count, "dry_run": dry_run})
        return
    say(f"{place}: {count} {'would be ' if dry_run else ''}deleted")
    if not count:
        complain("note", f"no passage matches{_stored_as(source, schema.root)}")


def _stored_as(source: str | None, root: str | None) -> str:
    """Return how the source of a file is written, where its path was given."""
    if source is None or root is None:
        return ""
    path = Path(os.path.abspath(expanded(source)))  # noqa: PTH100  # a link stays what it is
    if not path.is_relative_to(root) or (name := path.relative_to(root).as_posix()) == source:
        return f"; sources are paths relative to {root}"
    return f"; sources are paths relative to {root}: --source {name}"


def copy(
    place: Annotated[str, typer.Argument(metavar="FROM", help=INDEX, envvar=variables.PLACE)],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="Where it goes; made where there is none.")
    ],
    *,
    collection: CollectionOption = None,
    to_collection: Annotated[
        str | None, typer.Option(help="The collection, where TO is a URL. Key: TO_QDRANT_API_KEY.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy an index with its vectors, its questions too; nothing is encoded.

    Each source of the copy has ids of its own, whatever FROM had. Copying again is safe.
    """
    if _place_of(place, collection) == _place_of(target, to_collection):
        raise typer.BadParameter(f"FROM and TO are both {target!r}; name another place")
    target_key = os.environ.get("TO_QDRANT_API_KEY")
    with (
        open_place(place, collection) as where,
        open_place(target, to_collection, key=target_key, option="--to-collection") as there,
    ):
        schema = where.require_schema()
        encoder = StoredModel(schema)
        with where.open(encoder, create=False) as index:
            _create(there, schema)
            with (
                there.open(encoder, create=False) as other,
                passages_counted(quiet=quiet, total=index.count()) as progress,
            ):
                copied = index.copy_to(other, progress=progress)
                questions = _copy_questions(index, other)
                other.optimize()
    if as_json:
        print_json({"from": place, "to": target, "copied": copied, "questions": questions})
    elif not quiet:
        asked = f" and {questions} questions and verdicts" if questions else ""
        say(f"{target}: {copied} passages{asked} copied from {place}")


def add_arm(
    place: PlaceArgument,
    arm: Annotated[str, typer.Argument(metavar="ARM", help=f"One of {', '.join(arm_names())}.")],
    *,
    opening: IndexArguments,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add an arm to an index, computed from the stored text. Run again to continue after a stop."""
    with open_place(place, opening.collection) as where:
        schema, total, _ = where.contents()
        with passages_counted(quiet=quiet, total=total) as progress:
            encoder = chosen_encoder(schema, opening.model, opening.device)
            with where.open(encoder, create=False) as index:
                filled = index.add_arm(arm, progress=progress)
                index.optimize()
    if as_json:
        print_json({"place": place, "arm": arm, "filled": filled})
    elif not quiet and total and not filled:
        say(f"{place}: all {total} passages have {arm} vectors already")
    elif not quiet:
        say(f"{place}: {filled} passages have {arm} vectors now")


def _place_of(text: str, collection: str | None) -> tuple[str, str | None]:
    if "://" in text:
        return text.rstrip("/"), collection
    return str(expanded(text).resolve()), None


def _create(place: Place, schema: Schema) -> None:
    """Create an index like another one, unless there is one; ids belong to their source there."""
    from trivec.payloads.codecs import stored_codec
    from trivec.payloads.trivec import IDENTITY, TOKENS

    codec = stored_codec(schema.codec, schema.codec_keys)
    own = ("source", TOKENS, IDENTITY) if schema.codec != "haystack" else ("source", TOKENS)
    indexes = {**schema.payload_indexes, **{codec.own_path(field): "keyword" for field in own}}
    place.create(
        replace(
            schema,
            payload_indexes=indexes,
            building={},
            integer_ids=False,
            scoped_ids=schema.codec != "haystack",
        )
    )


def _copy_questions(index: HybridIndex, other: HybridIndex) -> int:
    """Copy what lies beside an index; return how much that was."""
    from trivec.questions.index import QuestionIndex

    beside = index.store.sibling("questions")
    if beside is None or beside.schema is None:
        return 0
    beside.close()
    with (
        QuestionIndex.open(index, create=False) as questions,
        QuestionIndex.open(other) as others,
    ):
        copied = questions.copy_to(others)
        others.optimize()
    return copied
