"""Finds a model's folder, and the files that every model has in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec._runtime.dependencies import unavailable
from trivec._runtime.paths import user_path
from trivec.errors import ModelError

__all__ = [
    "HubOptions",
    "locate_folder",
    "optional_object",
    "positions",
    "read_config",
    "tokenizer_file",
    "weight_files",
]

_TOKENIZER_FILES = ("tokenizer.json", "sentencepiece.bpe.model")
#: in the order that transformers prefers them
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
#: other runtimes' copies of the weights (gigabytes) and pictures
_NOT_NEEDED = ["*.msgpack", "*.ot", "*.h5", "*.onnx*", "onnx/*", "openvino/*", "imgs/*", "*.jpg"]


@dataclass(frozen=True, slots=True, kw_only=True)
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


def locate_folder(model: str | Path, hub: HubOptions, *, expected: str) -> tuple[Path, str | None]:
    """Return a model's folder and revision; a hub id is downloaded unless it is there already.

    Args:
        model: a folder or a hub id.
        hub: revision and cache.
        expected: what may be given, for the error's message.

    Raises:
        ModelError: there is no such folder, or the hub cannot give it.
        MissingDependencyError: huggingface_hub is not installed.
    """
    path = user_path("model", model)
    if path.is_dir():
        return path, hub.revision
    name = str(model)
    if isinstance(model, Path) or path.exists() or name.count("/") > 1 or name[:1] in (".", "~"):
        raise ModelError(f"{name!r} is not a folder; give {expected}")
    path = _download(name, hub)
    return path, path.name if path.parent.name == "snapshots" else hub.revision


def _download(name: str, hub: HubOptions) -> Path:
    try:
        import httpx
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as err:
        raise unavailable(err, "huggingface_hub", "onnx") from err
    try:
        return Path(
            snapshot_download(
                name,
                revision=hub.revision,
                cache_dir=hub.cache_dir and user_path("cache_dir", hub.cache_dir).absolute(),
                local_files_only=hub.local_files_only,
                ignore_patterns=_NOT_NEEDED,
            )
        )
    # the hub's own errors are OSErrors; HTTPError is what escapes it from the wire
    except (OSError, HFValidationError, httpx.HTTPError) as err:
        raise ModelError(
            f"{name!r} is not a folder here, and the Hugging Face hub did not give it "
            f"({type(err).__name__}: {err}); check the name and the connection, set HF_ENDPOINT "
            "to a mirror, or give the path of a downloaded folder"
        ) from err


def read_config(path: Path, *, expected: str) -> Mapping[str, Any]:
    """Return the ``config.json`` of a model's folder.

    Raises:
        ModelError: it is absent or damaged.
    """
    if not (path / "config.json").exists():
        raise ModelError(f"{path} is not a model's folder: it has no config.json; give {expected}")
    return optional_object(path / "config.json")


def optional_object(file: Path) -> dict[str, Any]:
    """Return a JSON object of a model's folder; an empty one where there is no such file.

    Raises:
        ModelError: it cannot be read, or is no object.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as err:
        raise ModelError(f"{file} cannot be read ({err}); download it again") from err
    if not isinstance(content, dict):
        raise ModelError(f"{file} is not a JSON object; download it again")
    return content


def positions(config: Mapping[str, Any]) -> int | None:
    """Return the most tokens that a model has positions for; None if its config does not say."""
    count = config.get("max_position_embeddings")
    if not isinstance(count, int):
        return None
    if "roberta" in str(config.get("model_type")):
        # its positions count from the padding id + 1 on
        count -= int(config.get("pad_token_id", 1)) + 1
    return count


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files that transformers will load, shards in the order of their names.

    Raises:
        ModelError: there are none.
    """
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


def tokenizer_file(path: Path) -> Path:
    """Return the file that names the vocabulary.

    Raises:
        ModelError: there is none.
    """
    for name in _TOKENIZER_FILES:
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path} has no tokenizer; one of {', '.join(_TOKENIZER_FILES)} is needed")
