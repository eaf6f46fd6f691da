"""The folder that an export writes: graphs, their weights, the tokenizer, and a manifest of all.

The manifest is what makes the folder trustworthy: it names the model that the graphs were made
of, how well they agree with it, and size and digest of every file. It holds its own digest too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from trivec._runtime.cache import file_digest
from trivec.errors import ModelError

__all__ = [
    "MANIFEST",
    "WITH_COLBERT",
    "Agreement",
    "ExportKind",
    "Manifest",
    "OnnxFolder",
    "find_export",
    "open_export",
    "write_manifest",
]

MANIFEST = "manifest.json"
WITH_COLBERT = "with_colbert"
"""The graph's input that switches the ColBERT head on; left out it is on."""

FORMAT = "trivec-onnx"
FORMAT_VERSION = 1
TOKENIZER = "tokenizer.json"

ExportKind: TypeAlias = Literal["encoder", "reranker"]
"""What an export folder holds."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near a graph is to the model that it was made of, on the texts that the export read.

    Attributes:
        texts: how many.
        dense_cosine_mean: of its dense vector and the model's.
        dense_cosine_least: the worst of them.
        sparse_top10_shared: the share of each text's ten heaviest tokens that it keeps, mean.
        sparse_difference: the largest difference of a sparse weight.
        colbert_cosine_mean: of ColBERT rows.
        score_difference: the largest difference of a reranker's logit.
    """

    texts: int
    dense_cosine_mean: float | None = None
    dense_cosine_least: float | None = None
    sparse_top10_shared: float | None = None
    sparse_difference: float | None = None
    colbert_cosine_mean: float | None = None
    score_difference: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export folder holds.

    Attributes:
        kind: an encoder or a reranker.
        model: the name or path of the model that was exported.
        revision: its revision, if known.
        weights: sha256 over its weight and head files, as ``EncoderInfo.weights``.
        tokenizer: sha256 of its tokenizer file.
        hidden_size: width of its states.
        max_length: the most tokens that it has positions for.
        special_tokens: ids by role: ``pad``, ``cls``, ``eos``, ``unk``.
        has_types: whether the graph takes the segment of each token.
        precisions: the agreement of each precision that the folder holds.
        files: size and sha256 by name.
        settings: how the model is used: pooling, instructions, lengths.
        colbert_dim: width of its ColBERT rows, None without that head.
    """

    kind: ExportKind
    model: str
    revision: str | None
    weights: str
    tokenizer: str
    hidden_size: int
    max_length: int
    special_tokens: Mapping[str, int | None]
    has_types: bool
    precisions: Mapping[str, Agreement]
    files: Mapping[str, tuple[int, str]]
    settings: Mapping[str, Any]
    colbert_dim: int | None = None


@dataclass(frozen=True, slots=True)
class OnnxFolder:
    """An export folder, found whole."""

    path: Path
    manifest: Manifest

    def graph(self, precision: str) -> Path:
        """Return the graph of a precision."""
        return self.path / f"model_{precision}.onnx"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file."""
        return self.path / TOKENIZER


def find_export(path: Path) -> Path | None:
    """Return the export folder at a path or in its ``onnx`` subfolder; None if there is none."""
    for folder in (path, path / "onnx"):
        if (folder / MANIFEST).is_file():
            return folder
    return None


def open_export(path: Path, kind: ExportKind | None = None) -> OnnxFolder:
    """Open an export folder, or the ``onnx`` subfolder of a model's, and check every file.

    Digests are remembered in the cache folder, so that gigabytes are read once.

    Args:
        path: the folder.
        kind: what it has to hold; None takes either.

    Raises:
        ModelError: there is none, it is of another kind, or a file is missing or was changed.
    """
    folder = find_export(path)
    if folder is None:
        raise ModelError(
            f"{path} is not an export folder: it has no {MANIFEST}; make one with: "
            f"trivec export {path} OUT"
        )
    manifest = _read_manifest(folder / MANIFEST)
    if kind is not None and manifest.kind != kind:
        raise ModelError(f"{folder} holds an exported {manifest.kind}; give an exported {kind}")
    for name, (size, digest) in manifest.files.items():
        _check_file(folder / name, size, digest)
    return OnnxFolder(folder, manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder whose files are all there."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    content["digest"] = _digest(content)
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")


def _read_manifest(file: Path) -> Manifest:
    try:
        content = json.loads(file.read_text("utf-8"))
        version = content.pop("format"), content.pop("format_version")
        digest = content.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as err:
        raise ModelError(f"{file} is damaged ({err!r}); export the model again") from err
    if version != (FORMAT, FORMAT_VERSION):
        raise ModelError(
            f"{file} is of format {version}, this trivec reads {(FORMAT, FORMAT_VERSION)}; "
            "export the model again, or use the version that wrote it"
        )
    whole = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    if digest != _digest(whole):
        raise ModelError(f"{file} was changed after the export; export the model again")
    agreements = {name: Agreement(**values) for name, values in content["precisions"].items()}
    files = {name: (size, digest) for name, (size, digest) in content["files"].items()}
    return Manifest(**{**content, "precisions": agreements, "files": files})


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_file(file: Path, size: int, digest: str) -> None:
    if not file.is_file():
        raise ModelError(f"{file} is missing; export the model again, or copy the whole folder")
    actual = file.stat().st_size
    if actual != size:
        raise ModelError(
            f"{file} has {actual} bytes, the manifest says {size}: it was cut off or replaced; "
            "export the model again, or copy the whole folder"
        )
    if file_digest(file) != digest:
        raise ModelError(
            f"{file} has another sha256 than the manifest says: it was changed after the export; "
            "export the model again, or copy the whole folder"
        )
