"""Finds a model's folder and checks it before a single weight is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.errors import MissingDependencyError, MissingHeadError, ModelError

__all__ = [
    "COLBERT_HEAD",
    "SPARSE_HEAD",
    "HubOptions",
    "ModelFolder",
    "inspect_folder",
    "locate_folder",
]

SPARSE_HEAD = "sparse_linear.pt"
COLBERT_HEAD = "colbert_linear.pt"

_TOKENIZER_FILES = ("tokenizer.json", "sentencepiece.bpe.model")
#: in the order that transformers prefers them
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
#: other runtimes' copies of the weights (gigabytes) and pictures
_NOT_NEEDED = ["*.msgpack", "*.ot", "*.h5", "*.onnx*", "onnx/*", "openvino/*", "imgs/*", "*.jpg"]


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How a model is fetched by its hub id.

    Attributes:
        revision: a branch, tag or commit; None is the default branch.
        cache_dir: where downloads are kept; None is huggingface_hub's own folder.
        local_files_only: never download.
    """

    revision: str | None = None
    cache_dir: Path | None = None
    local_files_only: bool = False


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder in the M3 format, found whole.

    Attributes:
        path: the folder.
        revision: the hub's commit, or whatever names the state of the files.
        weights: the encoder's weight files and then the two head files.
        tokenizer: the file that names the vocabulary.
        hidden_size: width of the encoder, which is that of the dense vector.
        colbert_dim: width of a ColBERT row.
        max_length: the most tokens that the encoder has positions for.
    """

    path: Path
    revision: str | None
    weights: tuple[Path, ...]
    tokenizer: Path
    hidden_size: int
    colbert_dim: int
    max_length: int


def locate_folder(model: str | Path, hub: HubOptions) -> tuple[Path, str | None]:
    """Return a model's folder and revision; a hub id is downloaded unless it is there already.

    Raises:
        ModelError: there is no such folder, or the hub cannot give it.
        MissingDependencyError: huggingface_hub is not installed.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path, hub.revision
    name = str(model)
    if isinstance(model, Path) or path.exists() or name.count("/") > 1 or name[:1] in (".", "~"):
        raise ModelError(
            f"{name!r} is not a folder; give a folder in the BGE-M3 format, a hub id such as "
            "'BAAI/bge-m3', or 'mini'"
        )
    path = _download(name, hub)
    return path, path.name if path.parent.name == "snapshots" else hub.revision


def _download(name: str, hub: HubOptions) -> Path:
    try:
        import httpx
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as err:
        raise MissingDependencyError(err.name or "huggingface_hub", "flag") from err
    try:
        return Path(
            snapshot_download(
                name,
                revision=hub.revision,
                cache_dir=hub.cache_dir,
                local_files_only=hub.local_files_only,
                ignore_patterns=_NOT_NEEDED,
            )
        )
    # the hub's own errors are OSErrors; HTTPError is what escapes it from the wire
    except (OSError, HFValidationError, httpx.HTTPError) as err:
        raise ModelError(
            f"{name!r} is neither a folder here nor could it be had from the Hugging Face hub "
            f"({type(err).__name__}: {err}); check the name and the connection, set HF_ENDPOINT "
            "to a mirror, or give the path of a downloaded folder"
        ) from err


def inspect_folder(path: Path, revision: str | None = None) -> ModelFolder:
    """Check that a folder holds a whole M3 model; reads its configuration and heads only.

    Raises:
        ModelError: it is not a model's folder.
        MissingHeadError: a head is absent, damaged or has the wrong shape. FlagEmbedding would
            go on with random ones.
    """
    config = _read_config(path)
    size = config.get("hidden_size")
    positions = config.get("max_position_embeddings")
    if not isinstance(size, int) or not isinstance(positions, int):
        raise ModelError(
            f"{path / 'config.json'} has hidden_size={size!r} and max_position_embeddings="
            f"{positions!r}; both are needed, as in XLM-RoBERTa and BERT"
        )
    if "roberta" in str(config.get("model_type")):
        # its positions count from the padding id + 1 on
        positions -= int(config.get("pad_token_id", 1)) + 1
    _check_head(path / SPARSE_HEAD, size, rows=1)
    colbert_dim = _check_head(path / COLBERT_HEAD, size, rows=None)
    return ModelFolder(
        path=path,
        revision=revision,
        weights=(*_weight_files(path), path / COLBERT_HEAD, path / SPARSE_HEAD),
        tokenizer=_first_present(path, _TOKENIZER_FILES, "tokenizer"),
        hidden_size=size,
        colbert_dim=colbert_dim,
        max_length=positions,
    )


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except FileNotFoundError as err:
        raise ModelError(
            f"{path} is not a model's folder: it has no config.json; give a folder in the "
            "BGE-M3 format, a hub id such as 'BAAI/bge-m3', or 'mini'"
        ) from err
    except (OSError, ValueError) as err:
        raise ModelError(
            f"{path / 'config.json'} cannot be read ({err}); download it again"
        ) from err
    if not isinstance(config, dict):
        raise ModelError(f"{path / 'config.json'} is not a JSON object; download it again")
    return config


def _weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files that transformers will load, shards in the order of their names."""
    for name in _WEIGHT_FILES:
        if (path / name).is_file():
            return (path / name,)
        index = path / f"{name}.index.json"
        if index.is_file():
            shards = json.loads(index.read_text("utf-8"))["weight_map"].values()
            return tuple(path / shard for shard in sorted(set(shards)))
    raise ModelError(
        f"{path} has no weights; one of {', '.join(_WEIGHT_FILES)} is needed: download it again"
    )


def _first_present(path: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path} has no {what}; one of {', '.join(names)} is needed")


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
            f"{file} holds {shapes}, needed is a linear layer of {size} inputs, "
            f"{ {'weight': (rows or 'n', size), 'bias': (rows or 'n',)} }: it belongs to another "
            "model"
        )
    return outputs


def _head_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        import torch
    except ImportError as err:
        raise MissingDependencyError("torch", "flag") from err
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        return {name: tuple(tensor.shape) for name, tensor in state.items()}
    # a damaged or foreign file fails in as many ways as unpickling has
    except Exception as err:
        raise MissingHeadError(f"{file} cannot be read ({type(err).__name__}: {err})") from err
