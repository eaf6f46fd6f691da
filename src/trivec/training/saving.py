"""Writes a trained model as a folder that trivec, FlagEmbedding and sentence-transformers load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._runtime.dependencies import unavailable
from trivec.encoders.query_map import QUERY_MAP
from trivec.encoders.stated import POOLING, PROMPTS, StatedUsage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["put_in_place", "write_model"]

WEIGHTS = "model.safetensors"
#: of the base's folder, what is neither weights nor of another format's
TAKEN = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "added_tokens.json",
    QUERY_MAP,
)
MODULES = (
    ("", "sentence_transformers.models.Transformer"),
    ("1_Pooling", "sentence_transformers.models.Pooling"),
    ("2_Normalize", "sentence_transformers.models.Normalize"),
)


def write_model(
    folder: Path,
    base: Path,
    tensors: Mapping[str, Tensor],
    heads: Mapping[str, Mapping[str, Tensor]],
    usage: StatedUsage,
) -> None:
    """Write a model into a folder.

    Args:
        folder: made if absent.
        base: the folder that it was trained from; the tokenizer and the configuration are its own.
        tensors: the encoder's weights.
        heads: the weights of each head by its file's name.
        usage: pooling and instructions, which loaders read from the folder.
    """
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as err:
        raise unavailable(err, "torch", "finetune") from err
    folder.mkdir(parents=True, exist_ok=True)
    for name in TAKEN:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, folder / WEIGHTS, metadata={"format": "pt"})
    for name, head in heads.items():
        torch.save({key: tensor.contiguous() for key, tensor in head.items()}, folder / name)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    write_usage(folder, usage, int(config["hidden_size"]))


def write_usage(folder: Path, usage: StatedUsage, width: int) -> None:
    """Write how a model is used, in the files that sentence-transformers has for that."""
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": kind}
        for at, (path, kind) in enumerate(MODULES)
    ]
    pooling = {
        "word_embedding_dimension": width,
        "pooling_mode_cls_token": usage.pooling == "cls",
        "pooling_mode_mean_tokens": usage.pooling == "mean",
    }
    prompts = {"query": usage.query_instruction, "document": usage.passage_instruction}
    for path, _ in MODULES[1:]:
        (folder / path).mkdir(exist_ok=True)
    for name, content in (
        ("modules.json", modules),
        (str(POOLING), pooling),
        (PROMPTS, {"prompts": prompts, "default_prompt_name": None}),
    ):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False), "utf-8")


@contextmanager
def put_in_place(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside a place, which it takes when the block ends without an error.

    What is there before is moved aside first and removed last, so that a killed process leaves
    the old folder or the new one under its own name or under ``.NAME.old``.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        old.rename(folder)  # a process was killed between the two renames
    for left in (partial, old):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
