"""What several commands take: single options, and groups of them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.arms import arm_names
from trivec.cli import variables
from trivec.cli.arm_weights import arm_weights
from trivec.cli.paths import check_path, expanded, is_for_reading
from trivec.fusion import FusionName
from trivec.types import ColbertMode, SearchOptions

if TYPE_CHECKING:
    from trivec.ingest import ReadOptions

__all__ = [
    "INDEX",
    "MODEL_HELP",
    "ChatArguments",
    "CollectionOption",
    "DeviceOption",
    "FileArguments",
    "FilterOption",
    "IndexArguments",
    "JsonOption",
    "ModelOption",
    "OptionalPlaceArgument",
    "PathsArgument",
    "PlaceArgument",
    "QuietOption",
    "ReportArguments",
    "SearchArguments",
    "metadata_filter",
]

INDEX = "An index folder, or a Qdrant server's URL."
MODEL_HELP = (
    "The embedding model: mini, a folder or a hub id. Default: the one that wrote the index; for a "
    "new one BAAI/bge-m3."
)


def _expanded(path: Path | None) -> Path | None:
    return None if path is None else expanded(path)


def _existing(context: typer.Context, paths: list[Path]) -> list[Path]:
    expanded_paths = [expanded(path) for path in paths]
    place = context.params.get("place")
    for path in expanded_paths:
        try:
            path.stat()
        except FileNotFoundError as err:
            check_path(str(path))
            if isinstance(place, str) and is_for_reading(Path(place)):
                raise typer.BadParameter(
                    f"{str(path)!r} does not exist; PLACE comes first: "
                    f"{context.command_path} {path} {place}"
                ) from err
            raise typer.BadParameter(f"{str(path)!r} does not exist") from err
        except (OSError, ValueError) as err:
            reason = getattr(err, "strerror", None) or err
            raise typer.BadParameter(f"{str(path)!r} cannot be read: {reason}") from err
    return expanded_paths


PlaceArgument = Annotated[str, typer.Argument(metavar="PLACE", help=INDEX, envvar=variables.PLACE)]
OptionalPlaceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[PLACE]",
        help=f"{INDEX} Without one: about this machine.",
        envvar=variables.PLACE,
    ),
]
PathsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATHS...",
        callback=_existing,
        help="Files and folders; docs/files.md has the formats.",
    ),
]
CollectionOption = Annotated[
    str | None,
    typer.Option(
        help=f"The collection, where PLACE is a URL; else {variables.COLLECTION} names it. "
        "Key of the server: QDRANT_API_KEY."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        envvar=variables.MODEL,
        help=MODEL_HELP,
    ),
]
DeviceOption = Annotated[str, typer.Option(envvar=variables.DEVICE, help="cpu, cuda, cuda:1 ...")]
FilterOption = Annotated[
    str | None, typer.Option("--filter", help='Passages by metadata, as JSON: {"lang": "zh"}')
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no report.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexArguments:
    """How an index is opened."""

    collection: CollectionOption = None
    model: ModelOption = None
    device: DeviceOption = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArguments:
    """How a run over files reports, and when it fails."""

    strict: Annotated[
        bool, typer.Option("--strict", help="Fail (exit code 1) where anything was left out.")
    ] = False
    quiet: QuietOption = False
    as_json: JsonOption = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileArguments:
    """How files are read and split."""

    colbert: Annotated[bool, typer.Option(help="Store ColBERT vectors in a new index.")] = False
    chunk_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a passage.")] = 256
    overlap: Annotated[int, typer.Option(min=0, help="Tokens repeated of the one before.")] = 0
    late_chunking: Annotated[
        bool, typer.Option(help="Let every passage's vectors know its whole file (experimental).")
    ] = False
    root: Annotated[
        Path | None,
        typer.Option(
            callback=_expanded,
            help="What sources are relative to. Default: the index's own; for a new one the folder "
            "given, or what all PATHS have in common.",
        ),
    ] = None
    encoding: Annotated[
        str | None, typer.Option(help="Of text files. Default: found by itself, or left out.")
    ] = None
    text_columns: Annotated[
        list[str] | None,
        typer.Option("--text-column", help="Column or key that is searched; may be repeated."),
    ] = None
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links that stay inside their folder.")
    ] = False

    def reading(self) -> ReadOptions:
        """Return how files are read."""
        from trivec.ingest import ReadOptions

        columns = tuple(self.text_columns) if self.text_columns else None
        return ReadOptions(encoding=self.encoding, text_columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArguments:
    """How an index is searched."""

    arms: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=WEIGHT],...",
            help=f"Of {', '.join(arm_names())}; with weights: dense=1,bm25=0.5",
        ),
    ] = None
    fusion: Annotated[
        FusionName | None,
        typer.Option(
            case_sensitive=False,
            help=f"How the arms become one list. Default: {SearchOptions().fusion}; dbsf takes no "
            "weights.",
        ),
    ] = None
    colbert: Annotated[
        ColbertMode | None,
        typer.Option(case_sensitive=False, help="What stored ColBERT vectors do."),
    ] = None
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            callback=_expanded,
            help="How to search, as 'trivec tune' wrote it, instead of these options.",
        ),
    ] = None
    filter_json: FilterOption = None
    explain: Annotated[
        bool, typer.Option("--explain", help="Every arm's score and the words that matched.")
    ] = False
    questions: Annotated[
        bool, typer.Option("--questions", help="Search the passages' questions and feedback too.")
    ] = False
    rerank: Annotated[
        str | None,
        typer.Option("--rerank", metavar="MODEL", help="Order anew by mini, a folder or a hub id."),
    ] = None
    mixed_precision: Annotated[
        bool,
        typer.Option(
            "--mixed-precision", help="Let an exported --model in int8 search an index in fp32."
        ),
    ] = False

    def options(self) -> SearchOptions:
        """Return the options of the search.

        Raises:
            typer.BadParameter: ``--arms`` cannot be read, or stands beside ``--settings``.
        """
        if self.settings is not None:
            return replace(self._of_settings(self.settings), explain=self.explain)
        return SearchOptions(
            arms=arm_weights(self.arms),
            fusion=self.fusion or SearchOptions().fusion,
            colbert=self.colbert,
            explain=self.explain,
        )

    def _of_settings(self, path: Path) -> SearchOptions:
        from trivec.evaluation import load_options

        if self.arms or self.fusion or self.colbert:
            raise typer.BadParameter(
                "--settings stands for --arms, --fusion and --colbert; leave those out"
            )
        return load_options(path)

    def conditions(self) -> dict[str, Any] | None:
        """Return the filter.

        Raises:
            typer.BadParameter: it is not a JSON object.
        """
        return metadata_filter(self.filter_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatArguments:
    """The language model that is asked, and how."""

    chat_model: Annotated[
        str | None,
        typer.Option(
            envvar=variables.CHAT_MODEL, help="The language model, as its server calls it."
        ),
    ] = None
    base_url: Annotated[
        str | None,
        typer.Option(
            envvar="OPENAI_BASE_URL",
            help="Its server, with /v1. Default: OpenAI. Key: OPENAI_API_KEY.",
        ),
    ] = None
    chat_option: Annotated[
        list[str] | None,
        typer.Option(
            "--chat-option",
            metavar="KEY=VALUE",
            help="How it is asked, may be repeated; values as JSON: temperature=null, "
            "max_tokens=500, schema_refused=ask_without, timeout=120.",
        ),
    ] = None


def _as_json(text: str) -> str:
    """Return what was meant as a filter, or an example, in the quotes that shells want."""
    key, sign, value = text.partition("=")
    simple = sign and re.fullmatch(r"[\w.-]+", key) and re.fullmatch(r"[\w.-]+", value)
    example = json.dumps({key: value} if simple else {"lang": "zh"}, ensure_ascii=False)
    return '"' + example.replace('"', '\\"') + '"' if os.name == "nt" else f"'{example}'"


def metadata_filter(text: str | None) -> dict[str, Any] | None:
    """Read ``--filter``.

    Raises:
        typer.BadParameter: it is not a JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise typer.BadParameter(f"--filter is not JSON: {err}; write {_as_json(text)}") from err
    if not isinstance(value, dict):
        raise typer.BadParameter(
            f"--filter must be a JSON object, not {text}; write {_as_json(text)}"
        )
    return value
