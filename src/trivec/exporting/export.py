"""Exports a model into a folder that ONNX Runtime runs without torch."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from trivec._graphs.checkpoint import Checkpoint, read_checkpoint
from trivec._graphs.encoder_graph import add_encoder
from trivec._graphs.graph import Graph
from trivec._graphs.heads import add_classifier, add_m3_heads
from trivec._graphs.linear import Float32, Int8, Weights
from trivec._models.folder import tokenizer_file, weight_files
from trivec._models.onnx_folder import (
    TOKENIZER,
    Agreement,
    Manifest,
    find_export,
    write_manifest,
)
from trivec._models.weights import read_tensors
from trivec._runtime.cache import combined_digest, file_digest
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.exporting.agreement import encoder_agreement, reranker_agreement
from trivec.exporting.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trivec.encoders.flag import FlagEncoder
    from trivec.rerankers.flag import FlagReranker

__all__ = ["ExportOptions", "ExportPrecision", "export_encoder", "export_reranker"]

logger = logging.getLogger(__name__)

ExportPrecision: TypeAlias = Literal["fp32", "int8"]
"""The precisions that a graph can be written in."""

_WEIGHTS: dict[str, Callable[[], Weights]] = {"fp32": Float32, "int8": Int8}
_ROLES = ("pad", "cls", "eos", "unk")


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
        if not self.precisions or not set(self.precisions) <= set(get_args(ExportPrecision)):
            raise InputError(
                f"precisions={self.precisions!r}; allowed: one or more of "
                f"{', '.join(get_args(ExportPrecision))}"
            )
        if len(self.texts) < 2 or not all(text.strip() for text in self.texts):
            raise InputError("texts must be at least two, none of them blank")


def export_encoder(
    encoder: FlagEncoder, out: str | Path, *, options: ExportOptions | None = None
) -> Manifest:
    """Write an encoder's model as a folder for :class:`trivec.encoders.OnnxEncoder`.

    The folder is written beside its place and renamed, so that one that exists is whole. It keeps
    the encoder's pooling, instructions and lengths.

    Args:
        encoder: the model; loaded, since the graphs are compared with it.
        out: the folder to write.
        options: precisions, and the texts of the comparison.

    Returns:
        What the folder holds, with the agreement of each precision.

    Raises:
        InputError: the folder exists and is not to be replaced, or ``encoder`` is not in fp32.
        ModelError: the model is of a family that cannot be exported, or its files are damaged.
        MissingDependencyError: the extra ``export`` is not installed.
    """
    if encoder.options.precision != "fp32":
        raise InputError(
            f"the encoder computes in {encoder.options.precision}; the comparison needs one in fp32"
        )
    encoder.load()
    info, model = encoder.info, encoder.options

    def heads(graph: Graph, states: str, _: Checkpoint) -> None:
        add_m3_heads(
            graph,
            states,
            pooling=model.pooling,
            normalize=model.normalize,
            sparse=read_tensors(encoder.folder / "sparse_linear.pt"),
            colbert=read_tensors(encoder.folder / "colbert_linear.pt"),
        )

    def measure(folder: Path, precision: ExportPrecision, texts: Sequence[str]) -> Agreement:
        exported = OnnxEncoder(folder, options=OnnxOptions(precision=precision))
        return encoder_agreement(exported, encoder, texts)

    checkpoint = read_checkpoint(encoder.folder)
    tokenizer = _LoadedTokenizer(encoder.folder)
    manifest = Manifest(
        kind="encoder",
        model=info.model,
        revision=info.revision,
        weights=info.weights,
        tokenizer=info.tokenizer or "",
        hidden_size=info.dense_dim,
        colbert_dim=info.colbert_dim,
        max_length=checkpoint.shape.max_length,
        special_tokens=tokenizer.special_tokens,
        has_types=False,
        precisions={},
        files={},
        settings={
            "pooling": model.pooling,
            "normalized": model.normalize,
            "query_instruction": model.query_instruction,
            "passage_instruction": model.passage_instruction,
            "query_max_length": model.query_max_length,
            "passage_max_length": model.passage_max_length,
        },
    )
    return _Export(manifest, checkpoint, tokenizer, heads, measure).write(Path(out), options)


def export_reranker(
    reranker: FlagReranker, out: str | Path, *, options: ExportOptions | None = None
) -> Manifest:
    """Write a cross-encoder as a folder for :class:`trivec.rerankers.OnnxReranker`.

    As :func:`export_encoder`; of the texts the first is the query.

    Raises:
        InputError: the folder exists and is not to be replaced, or ``reranker`` is not in fp32.
        ModelError: the model is of a family that cannot be exported, or its files are damaged.
        MissingDependencyError: the extra ``export`` is not installed.
    """
    from trivec.rerankers.onnx import OnnxReranker, OnnxRerankerOptions

    if reranker.options.precision != "fp32":
        raise InputError(
            f"the reranker computes in {reranker.options.precision}; the comparison needs one in "
            "fp32"
        )
    reranker.load()
    folder, model = reranker.folder, reranker.options

    def measure(folder: Path, precision: ExportPrecision, texts: Sequence[str]) -> Agreement:
        exported = OnnxReranker(folder, options=OnnxRerankerOptions(precision=precision))
        return reranker_agreement(exported, reranker, texts)

    checkpoint = read_checkpoint(folder)
    tokenizer = _LoadedTokenizer(folder)
    manifest = Manifest(
        kind="reranker",
        model=str(reranker.model),
        revision=model.revision,
        weights=combined_digest(weight_files(folder)),
        tokenizer=file_digest(tokenizer_file(folder)),
        hidden_size=checkpoint.shape.hidden_size,
        max_length=checkpoint.shape.max_length,
        special_tokens=tokenizer.special_tokens,
        has_types=tokenizer.has_types,
        precisions={},
        files={},
        settings={
            "query_instruction": model.query_instruction,
            "passage_instruction": model.passage_instruction,
            "max_length": model.max_length,
        },
    )
    return _Export(manifest, checkpoint, tokenizer, add_classifier, measure).write(
        Path(out), options
    )


class _LoadedTokenizer:
    """A model's tokenizer as transformers loads it, for what ``tokenizer.json`` does not say."""

    def __init__(self, folder: Path) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as err:
            raise MissingDependencyError("transformers", "export") from err
        self._loaded = AutoTokenizer.from_pretrained(str(folder))
        self.special_tokens = {role: getattr(self._loaded, f"{role}_token_id") for role in _ROLES}
        self.has_types = "token_type_ids" in self._loaded.model_input_names

    def save(self, file: Path) -> None:
        """Write the fast tokenizer."""
        backend = getattr(self._loaded, "backend_tokenizer", None)
        if backend is None:
            raise ModelError(
                f"the model's tokenizer is a {type(self._loaded).__name__}; a fast one is needed"
            )
        backend.no_truncation()
        backend.no_padding()
        backend.save(str(file), pretty=False)


@dataclass(frozen=True, slots=True)
class _Export:
    """One model on its way into a folder."""

    manifest: Manifest
    checkpoint: Checkpoint
    tokenizer: _LoadedTokenizer
    heads: Callable[[Graph, str, Checkpoint], None]
    measure: Callable[[Path, ExportPrecision, Sequence[str]], Agreement]

    def write(self, out: Path, options: ExportOptions | None) -> Manifest:
        """Write the whole folder, or nothing."""
        options = options or ExportOptions()
        _require_free(out, overwrite=options.overwrite)
        with _written_beside(out) as partial:
            self.tokenizer.save(partial / TOKENIZER)
            for precision in options.precisions:
                logger.info("writing the graph in %s", precision)
                self._write_graph(partial, precision)
            manifest = replace(
                self.manifest,
                files={
                    file.name: (file.stat().st_size, file_digest(file))
                    for file in sorted(partial.iterdir())
                },
                precisions={name: Agreement(texts=0) for name in options.precisions},
            )
            write_manifest(partial, manifest)
            agreements: dict[str, Agreement] = {
                name: self.measure(partial, name, options.texts) for name in options.precisions
            }
            manifest = replace(manifest, precisions=agreements)
            write_manifest(partial, manifest)
        return manifest

    def _write_graph(self, folder: Path, precision: ExportPrecision) -> None:
        data = folder / f"model_{precision}.onnx.data"
        with data.open("wb") as weights:
            graph = Graph(weights, data.name)
            states = add_encoder(
                graph, self.checkpoint, _WEIGHTS[precision](), with_types=self.manifest.has_types
            )
            self.heads(graph, states, self.checkpoint)
        (folder / f"model_{precision}.onnx").write_bytes(graph.content())


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
