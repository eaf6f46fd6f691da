"""Checks a folder in the M3 format before a single weight is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trivec._models.folder import positions, read_config, tokenizer_file, weight_files
from trivec._models.weights import stored_tensors
from trivec.errors import MissingHeadError, ModelError
from trivec.types import ALL_HEADS, Head

__all__ = [
    "COLBERT_HEAD",
    "EXPECTED",
    "SPARSE_HEAD",
    "ModelFolder",
    "inspect_folder",
]

SPARSE_HEAD = "sparse_linear.pt"
COLBERT_HEAD = "colbert_linear.pt"

EXPECTED = "a folder in the BGE-M3 format, a hub id such as 'BAAI/bge-m3', or 'mini'"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder in the M3 format, found whole.

    Attributes:
        path: the folder.
        revision: the hub's commit, or whatever names the state of the files.
        weights: the encoder's weight files and then the two head files.
        tokenizer: the file that names the vocabulary.
        hidden_size: width of the encoder, which is that of the dense vector.
        colbert_dim: width of a ColBERT row; None without that head.
        heads: what it computes: all, or the dense vector alone.
        max_length: the most tokens that the encoder has positions for.
    """

    path: Path
    revision: str | None
    weights: tuple[Path, ...]
    tokenizer: Path
    hidden_size: int
    colbert_dim: int | None
    max_length: int
    heads: tuple[Head, ...] = ALL_HEADS


def inspect_folder(
    path: Path, revision: str | None = None, *, dense_will_do: bool = False
) -> ModelFolder:
    """Check that a folder holds a whole M3 model; reads its configuration and heads only.

    Args:
        path: the folder.
        revision: what names the state of its files.
        dense_will_do: take a sentence encoder too, which has neither head.

    Raises:
        ModelError: it is not a model's folder.
        MissingHeadError: a head is absent, damaged or has the wrong shape. FlagEmbedding would
            go on with random ones.
    """
    config = read_config(path, expected=EXPECTED)
    size = config.get("hidden_size")
    max_length = positions(config)
    if not isinstance(size, int) or max_length is None:
        raise ModelError(
            f"{path / 'config.json'} has hidden_size={size!r} and max_position_embeddings="
            f"{config.get('max_position_embeddings')!r}; both are needed, as in XLM-RoBERTa and "
            "BERT"
        )
    if dense_will_do and not any((path / head).exists() for head in (SPARSE_HEAD, COLBERT_HEAD)):
        return ModelFolder(
            path=path,
            revision=revision,
            weights=weight_files(path),
            tokenizer=tokenizer_file(path),
            hidden_size=size,
            colbert_dim=None,
            max_length=max_length,
            heads=("dense",),
        )
    _check_head(path / SPARSE_HEAD, size, rows=1)
    colbert_dim = _check_head(path / COLBERT_HEAD, size, rows=None)
    return ModelFolder(
        path=path,
        revision=revision,
        weights=(*weight_files(path), path / COLBERT_HEAD, path / SPARSE_HEAD),
        tokenizer=tokenizer_file(path),
        hidden_size=size,
        colbert_dim=colbert_dim,
        max_length=max_length,
    )


def _check_head(file: Path, size: int, *, rows: int | None) -> int:
    """Check a head's shape and return its number of outputs."""
    if not file.is_file():
        raise MissingHeadError(
            f"{file.parent} has no {file.name}; an M3 model needs {SPARSE_HEAD} and "
            f"{COLBERT_HEAD} beside its weights (a plain sentence encoder has neither): "
            "download them, or train them with FlagEmbedding's unified fine-tuning"
        )
    shapes = _head_shapes(file)
    weight = shapes.get("weight", ())
    outputs = rows if rows is not None else (weight[0] if weight else 0)
    expected = {"weight": (outputs, size), "bias": (outputs,)}
    if outputs < 1 or shapes != expected:
        raise MissingHeadError(
            f"{file} holds {shapes}; it must hold a linear layer of {size} inputs, "
            f"{ {'weight': (rows or 'n', size), 'bias': (rows or 'n',)} }: it belongs to another "
            "model"
        )
    return outputs


def _head_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        return {name: tensor.shape for name, tensor in stored_tensors(file).items()}
    except ModelError as err:
        raise MissingHeadError(f"the head {file.name} cannot be read: {err}") from err
