"""``trivec export``: a model into a folder that ONNX Runtime runs without torch."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from trivec.cli.arguments import JsonOption
from trivec.cli.terminal import print_json, say
from trivec.errors import InputError

if TYPE_CHECKING:
    from trivec._models.onnx_folder import Manifest
    from trivec.encoders import FlagEncoder
    from trivec.exporting import ExportPrecision
    from trivec.mini import MiniEncoder

__all__ = ["export"]


def export(
    model: Annotated[
        str,
        typer.Argument(help="mini, a folder or a hub id, of an encoder or a reranker."),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    *,
    precision: Annotated[
        str, typer.Option(help="fp32, int8, or both by comma; auto is what this CPU runs best.")
    ] = "int8",
    samples: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Your own texts, one a line: the export is compared with the model on them.",
        ),
    ] = None,
    pooling: Annotated[
        Literal["cls", "mean"] | None,
        typer.Option(
            case_sensitive=False,
            help="Of the dense vector. Default: what the folder says, else cls.",
        ),
    ] = None,
    query_instruction: Annotated[
        str | None, typer.Option(help="Text put before a query. Default: what the folder says.")
    ] = None,
    passage_instruction: Annotated[
        str | None, typer.Option(help="Text put before a passage. Default: what the folder says.")
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(min=3, help="Most tokens read. Default: 8192 of a passage, 512 of a pair."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an export that is there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Export a model for ONNX Runtime, and say how near it is; neither needs torch."""
    from trivec.exporting import ExportOptions, export_encoder, export_reranker

    options = ExportOptions(precisions=_precisions(precision), overwrite=overwrite)
    if samples is not None:
        options = replace(options, texts=_texts(samples))
    if _is_reranker(model):
        from trivec.rerankers import FlagReranker, FlagRerankerOptions

        of_pairs = FlagRerankerOptions(
            query_instruction=query_instruction or "",
            passage_instruction=passage_instruction or "",
            max_length=max_length or FlagRerankerOptions().max_length,
        )
        manifest = export_reranker(FlagReranker(model, options=of_pairs), out, options=options)
    else:
        encoder = _encoder(model, pooling, query_instruction, passage_instruction, max_length)
        manifest = export_encoder(encoder, out, options=options)
    if as_json:
        agreements = {name: asdict(agreement) for name, agreement in manifest.precisions.items()}
        print_json({"out": str(out), "kind": manifest.kind, "precisions": agreements})
    else:
        say(_summary(manifest, out))


def _precisions(text: str) -> tuple[ExportPrecision, ...]:
    if text == "auto":
        from trivec._models.onnx_choice import best_precision, measured

        return (best_precision(measured()),)
    return cast("tuple[ExportPrecision, ...]", tuple(part.strip() for part in text.split(",")))


def _texts(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except UnicodeDecodeError as err:
        raise InputError(f"{file} is not UTF-8 ({err}); convert it") from err
    return tuple(line for line in lines if line.strip())


def _is_reranker(model: str) -> bool:
    if model == "mini":
        return False
    from trivec._models.folder import HubOptions, locate_folder, read_config
    from trivec.rerankers.classifier import CLASSIFIER

    expected = "a model's folder, a hub id, or 'mini'"
    path, _ = locate_folder(model, HubOptions(), expected=expected)
    kinds = read_config(path, expected=expected).get("architectures") or []
    return any(str(kind).endswith(CLASSIFIER) for kind in kinds)


def _encoder(
    model: str,
    pooling: Literal["cls", "mean"] | None,
    query_instruction: str | None,
    passage_instruction: str | None,
    max_length: int | None,
) -> FlagEncoder | MiniEncoder:
    from trivec.encoders import FlagEncoder, FlagOptions, OnnxOptions

    if model == "mini":
        from trivec.mini import MiniEncoder

        return MiniEncoder(OnnxOptions(precision="fp32"))
    options = FlagOptions(
        pooling=pooling,
        query_instruction=query_instruction,
        passage_instruction=passage_instruction,
    )
    if max_length is not None:
        query = min(max_length, 512)
        options = replace(options, query_max_length=query, passage_max_length=max_length)
    return FlagEncoder(model, options=options)


def _summary(manifest: Manifest, out: Path) -> str:
    """Return one line for each precision: how near it is to the model."""
    labels = {
        "dense_cosine_mean": "dense cosine",
        "dense_cosine_least": "at worst",
        "sparse_top10_shared": "of the ten heaviest tokens the same",
        "colbert_cosine_mean": "ColBERT cosine",
        "score_difference": "largest difference of a score",
    }
    lines = []
    for precision, agreement in manifest.precisions.items():
        values = asdict(agreement)
        parts = [
            f"{label} {values[name]:.4f}"
            for name, label in labels.items()
            if values[name] is not None
        ]
        size = sum(size for name, (size, _) in manifest.files.items() if f"_{precision}." in name)
        lines.append(
            f"{out}: {manifest.kind} in {precision}, {size / 1e6:,.0f} MB; on {agreement.texts} "
            f"texts: {', '.join(parts)}"
        )
    return "\n".join(lines)
