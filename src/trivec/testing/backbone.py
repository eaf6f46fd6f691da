"""What the small random models share: a tokenizer of two languages, and XLM-RoBERTa's shape."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

from trivec.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import XLMRobertaConfig

__all__ = ["Backbone", "save_tokenizer"]

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


@dataclass(frozen=True, slots=True)
class Backbone:
    """The sizes of an encoder.

    Attributes:
        hidden_size: its width.
        layers: how many.
        attention_heads: of each layer; divides ``hidden_size``.
        vocabulary_size: rows of the embedding, at least the tokenizer's; None is just those.
    """

    hidden_size: int
    layers: int
    attention_heads: int
    vocabulary_size: int | None

    def config(self) -> XLMRobertaConfig:
        """Return the configuration of XLM-RoBERTa in this size.

        Raises:
            InputError: the sizes do not fit together.
        """
        from transformers import XLMRobertaConfig

        least = _build_tokenizer().get_vocab_size()
        rows = self.vocabulary_size or least
        if self.hidden_size % self.attention_heads or rows < least:
            raise InputError(
                f"hidden_size={self.hidden_size} must be a multiple of attention_heads="
                f"{self.attention_heads}, and vocabulary_size={rows} at least {least}"
            )
        return XLMRobertaConfig(
            vocab_size=rows,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.attention_heads,
            intermediate_size=4 * self.hidden_size,
            max_position_embeddings=POSITIONS,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            # wider than usual, or two random layers would hardly mix the tokens
            initializer_range=1 / math.sqrt(self.hidden_size),
        )


def save_tokenizer(folder: Path) -> None:
    """Write the tokenizer's files."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_build_tokenizer(),
        model_max_length=POSITIONS - 2,
        **ROLES,
    ).save_pretrained(folder)
    # transformers 5 writes a class that 4 does not know; both know this one
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    config.pop("backend", None)
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2), "utf-8")


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
