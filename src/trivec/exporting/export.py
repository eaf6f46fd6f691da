"""Exports a model into a folder that ONNX Runtime runs."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from trivec._graphs.writing import Source, write_export
from trivec._models.onnx_folder import Agreement, Manifest, find_export, write_manifest
from trivec._runtime.paths import user_path
from trivec._runtime.typed import check_fields, checked
from trivec.encoders.conversion import encoder_source
from trivec.encoders.model_folder import inspect_folder
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.errors import InputError
from trivec.exporting.agreement import encoder_agreement, reranker_agreement
from trivec.exporting.samples import SAMPLES
from trivec.mini.encoder import MiniEncoder
from trivec.mini.graphs import mini_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trivec.encoders.flag import FlagEncoder
    from trivec.rerankers.flag import FlagReranker

__all__ = ["ExportOptions", "ExportPrecision", "export_encoder", "export_reranker"]

logger = logging.getLogger(__name__)

ExportPrecision: TypeAlias = Literal["fp32", "int8"]
"""The precisions that a graph can be written in."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How near a graph is.

    Attributes:
        measure: gives the agreement of a folder's graph in a precision on texts.
        with_model: whether that is with the model itself, not with the graph in fp32.
    """

    measure: Callable[[Path, ExportPrecision, Sequence[str]], Agreement]
    with_model: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What an export holds.

    Attributes:
        precisions: of the graphs, at least one.
        texts: on which each graph is compared with the model, at least two; take your own. They
            are not stored.
        overwrite: replace an export that is there already.

    Raises:
        InputError: a value is not allowed.
    """

    precisions: tuple[ExportPrecision, ...] = ("int8",)
    texts: tuple[str, ...] = SAMPLES
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.precisions or not set(self.precisions) <= set(get_args(ExportPrecision)):
            raise InputError(
                f"precisions={self.precisions!r}; allowed: one or more of "
                f"{', '.join(get_args(ExportPrecision))}"
            )
        if len(self.texts) < 2 or not all(text.strip() for text in self.texts):
            raise InputError("texts must be at least two, none of them blank")


@checked
def export_encoder(
    encoder: FlagEncoder | MiniEncoder,
    out: str | Path,
    *,
    options: ExportOptions | None = None,
) -> Manifest:
    """Write an encoder's model as a folder for :class:`trivec.encoders.OnnxEncoder`.

    The folder is written beside its place and renamed, so that one that exists is whole. It keeps
    the encoder's pooling, instructions and lengths. Neither torch nor FlagEmbedding is needed.
    Where they are installed, each graph is compared with the model. Elsewhere int8 is compared
    with fp32 if both are written, and otherwise nothing is.

    Args:
        encoder: the model.
        out: the folder to write.
        options: precisions, and the texts of the comparison.

    Returns:
        What the folder holds, with the agreement of each precision.

    Raises:
        InputError: the folder exists and is not to be replaced, or ``encoder`` is not in fp32.
        ModelError: the model is of a family that cannot be exported, or its files are damaged.
        MissingDependencyError: the extra ``onnx`` is not installed.
    """
    if isinstance(encoder, MiniEncoder):
        source, reference = mini_source(), MiniEncoder(OnnxOptions(precision="fp32"))
        return _write(user_path("out", out), source, _encoder_measure(reference), options)
    _require_fp32("encoder", encoder.options.precision)
    info = encoder.info
    settings = {
        "pooling": info.pooling,
        "normalized": info.normalized,
        "query_instruction": info.query_instruction,
        "passage_instruction": info.passage_instruction,
        "query_max_length": encoder.query_max_length,
        "passage_max_length": info.max_length,
    }
    folder = inspect_folder(encoder.folder, info.revision)
    source = encoder_source(info.model, folder, settings)
    measure = _encoder_measure(encoder if _has_torch() else None)
    return _write(user_path("out", out), source, measure, options)


@checked
def export_reranker(
    reranker: FlagReranker, out: str | Path, *, options: ExportOptions | None = None
) -> Manifest:
    """Write a cross-encoder as a folder for :class:`trivec.rerankers.OnnxReranker`.

    As :func:`export_encoder`; of the texts the first is the query.

    Raises:
        InputError: the folder exists and is not to be replaced, or ``reranker`` is not in fp32.
        ModelError: the model is of a family that cannot be exported, or its files are damaged.
        MissingDependencyError: the extra ``onnx`` is not installed.
    """
    from trivec.rerankers.classifier import inspect_folder as inspect_classifier
    from trivec.rerankers.conversion import reranker_source
    from trivec.rerankers.onnx import OnnxReranker, OnnxRerankerOptions

    _require_fp32("reranker", reranker.options.precision)
    model = reranker.options
    settings = {
        "query_instruction": model.query_instruction,
        "passage_instruction": model.passage_instruction,
        "max_length": model.max_length,
    }
    folder = inspect_classifier(reranker.folder)
    source = reranker_source(str(reranker.model), model.revision, folder, settings)
    exact = reranker if _has_torch() else None

    def reader(folder: Path, precision: ExportPrecision) -> OnnxReranker:
        return OnnxReranker(folder, options=OnnxRerankerOptions(precision=precision))

    def measure(folder: Path, precision: ExportPrecision, texts: Sequence[str]) -> Agreement:
        return reranker_agreement(reader(folder, precision), exact or reader(folder, "fp32"), texts)

    return _write(user_path("out", out), source, _Comparison(measure, exact is not None), options)


def _require_fp32(kind: str, precision: str) -> None:
    if precision != "fp32":
        raise InputError(f"the {kind} computes in {precision}; the comparison needs one in fp32")


def _has_torch() -> bool:
    return all(find_spec(name) for name in ("torch", "FlagEmbedding"))


def _encoder_measure(exact: FlagEncoder | MiniEncoder | None) -> _Comparison:
    """Return what compares with the model, or where there is none with the graph in fp32."""

    def reader(folder: Path, precision: ExportPrecision) -> OnnxEncoder:
        return OnnxEncoder(folder, options=OnnxOptions(precision=precision))

    def measure(folder: Path, precision: ExportPrecision, texts: Sequence[str]) -> Agreement:
        return encoder_agreement(reader(folder, precision), exact or reader(folder, "fp32"), texts)

    return _Comparison(measure, exact is not None)


def _write(
    out: Path, source: Source, comparison: _Comparison, options: ExportOptions | None
) -> Manifest:
    """Write the whole folder, or nothing."""
    options = options or ExportOptions()
    _require_free(out, overwrite=options.overwrite)
    with _written_beside(out) as partial:
        manifest = write_export(partial, source, options.precisions)
        if comparison.with_model or len(set(options.precisions)) == 2:
            agreements: dict[str, Agreement] = {
                name: comparison.measure(partial, name, options.texts)
                for name in options.precisions
            }
            manifest = replace(manifest, precisions=agreements)
            write_manifest(partial, manifest)
        else:
            logger.warning(
                "%s is not compared with its model: install 'trivec[flag]', or export both "
                "precisions, of which int8 is then compared with fp32",
                out,
            )
    return manifest


def _require_free(out: Path, *, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise InputError(f"{out} exists already; choose another folder, or replace it (overwrite)")
    if find_export(out) != out:
        raise InputError(f"{out} is not an export folder, and is not replaced")


@contextmanager
def _written_beside(out: Path) -> Iterator[Path]:
    """Yield an empty folder that takes its place when the block ends without an error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp's are private
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
