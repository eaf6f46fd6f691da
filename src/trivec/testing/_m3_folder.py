"""A small random model in the BGE-M3 format, so that tests run the real loading code."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

from trivec.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

__all__ = ["build_tiny_m3"]

#: what the tokenizer learns its pieces from: ordinary sentences, English and Chinese
SENTENCES = (
    "A dense vector holds the meaning of a whole passage in one point of space.",
    "Sparse weights say which words of the passage matter, and how much.",
    "Late interaction compares every token of the query with every token of the passage.",
    "The river rises in the mountains and flows through three countries to the sea.",
    "She opened the window, because the room had been closed all winter.",
    "Retrieval finds passages; a language model writes the answer from them.",
    "How many people lived in the old town in the nineteenth century?",
    "Penguins cannot fly, but they swim faster than most fish.",
    "稠密向量用空间中的一个点表示整段文字的含义。",
    "稀疏权重说明段落中哪些词语重要，以及有多重要。",
    "后期交互把查询的每个词元与段落的每个词元进行比较。",
    "这条河发源于山区，流经三个国家，最后注入大海。",
    "她打开了窗户，因为房间整个冬天都关着。",
    "检索找到段落，语言模型根据段落写出答案。",
    "十九世纪时，这座古城里住着多少人？",
    "企鹅不会飞，但是它们游得比大多数鱼都快。",
)
POSITIONS = 8194  # 8,192 tokens; XLM-RoBERTa counts from 2
LONGEST_PIECE = 8
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # with XLM-RoBERTa's ids
ROLES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


def build_tiny_m3(
    folder: Path,
    *,
    seed: int = 0,
    hidden_size: int = 32,
    layers: int = 2,
    attention_heads: int = 2,
    colbert_dim: int | None = None,
    vocabulary_size: int | None = None,
) -> Path:
    """Write a random model of BGE-M3's architecture: XLM-RoBERTa, tokenizer, both heads.

    Equal arguments give equal files. The sparse head yields both zero and positive weights. With
    ``hidden_size=1024, layers=24, attention_heads=16, vocabulary_size=250_002`` it has
    BGE-M3's size, and so its speed.

    Args:
        folder: where to write; made if absent.
        seed: of the random weights.
        hidden_size: width of the encoder and of the dense vector.
        layers: how many.
        attention_heads: of each layer; divides ``hidden_size``.
        colbert_dim: width of a ColBERT row; None is ``hidden_size``.
        vocabulary_size: rows of the embedding, at least the tokenizer's; None is just those.

    Returns:
        The folder.

    Raises:
        InputError: the sizes do not fit together.
        MissingDependencyError: the extra ``flag`` is not installed.
    """
    try:
        import torch
        from safetensors.torch import save_file
        from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel
    except ImportError as err:
        raise MissingDependencyError(err.name or "transformers", "flag") from err
    tokenizer = _build_tokenizer()
    rows = vocabulary_size or tokenizer.get_vocab_size()
    if hidden_size % attention_heads or rows < tokenizer.get_vocab_size():
        raise InputError(
            f"hidden_size={hidden_size} must be a multiple of attention_heads={attention_heads}, "
            f"and vocabulary_size={rows} at least {tokenizer.get_vocab_size()}"
        )
    config = XLMRobertaConfig(
        vocab_size=rows,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=attention_heads,
        intermediate_size=4 * hidden_size,
        max_position_embeddings=POSITIONS,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        # wider than usual, or two random layers would hardly mix the tokens
        initializer_range=1 / math.sqrt(hidden_size),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = XLMRobertaModel(config)
        heads = {
            "sparse_linear.pt": _random_head(hidden_size, 1),
            "colbert_linear.pt": _random_head(hidden_size, colbert_dim or hidden_size),
        }
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    for name, head in heads.items():
        torch.save(head, folder / name)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS - 2,
        **ROLES,
    ).save_pretrained(folder)
    return folder


def _random_head(inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    import torch

    # inputs of unit variance give outputs of unit variance: most sparse weights are positive
    return {
        "weight": torch.randn(outputs, inputs) / math.sqrt(inputs),
        "bias": torch.ones(outputs),
    }


def _build_tokenizer() -> Tokenizer:
    """Make a Unigram tokenizer with XLM-RoBERTa's special tokens and pipeline."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram

    tokenizer = Tokenizer(Unigram(_learn_pieces(), unk_id=SPECIALS.index("<unk>")))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([*SPECIALS, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return tokenizer


def _learn_pieces() -> list[tuple[str, float]]:
    """Count the pieces of the sentences and score them by log frequency.

    The library's own trainer gives another vocabulary at every run (its hashes are random), and
    another vocabulary is another fingerprint.
    """
    words = [f"▁{word}" for text in SENTENCES for word in normalize("NFKC", text).split()]
    pieces = Counter(
        word[start : start + length]
        for word in words
        for length in range(1, LONGEST_PIECE + 1)
        for start in range(len(word) - length + 1)
    )
    kept = {piece: count for piece, count in pieces.items() if len(piece) == 1 or count > 1}
    total = sum(kept.values())
    learned = [(piece, math.log(count / total)) for piece, count in sorted(kept.items())]
    return [*((special, 0.0) for special in SPECIALS), *learned]
