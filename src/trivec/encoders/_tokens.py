"""From texts to token ids, and where in them the text itself begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec.errors import InputError, ModelError
from trivec.models._tokenizing import encodable, unlimited

if TYPE_CHECKING:
    import tokenizers
    from numpy.typing import NDArray

__all__ = ["TextTokenizer", "TokenizedText"]

SPECIALS_AROUND = 2  # <s> text </s>


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """What the model reads of one text.

    Attributes:
        ids: ``(n,)`` int64, special tokens included.
        start: the first position that belongs to the text, after CLS and the instruction.
        truncated: whether the text was longer than allowed.
    """

    ids: NDArray[np.int64]
    start: int
    truncated: bool


class TextTokenizer:
    """The Hugging Face tokenizer of an M3 model, cut off in Python.

    The Rust object is never changed, so threads need no lock.

    Args:
        pretrained: a fast tokenizer of transformers, given up to this object.

    Raises:
        ModelError: the tokenizer is not a fast one, or is not of M3's kind.
    """

    def __init__(self, pretrained: Any) -> None:
        backend = unlimited(pretrained)
        if pretrained.pad_token_id is None or len(backend.encode("").ids) != SPECIALS_AROUND:
            raise ModelError(
                "the model's tokenizer must have a padding token and put one special token before "
                "and one after a text, as XLM-RoBERTa and BERT do"
            )
        self.backend = backend
        self.pad: int = pretrained.pad_token_id
        kinds = ("cls", "eos", "pad", "unk")
        ids = {getattr(pretrained, f"{kind}_token_id") for kind in kinds} - {None}
        self.unused = np.array(sorted(ids), dtype=np.int64)

    def read(
        self, texts: Sequence[str], *, instruction: str, max_length: int
    ) -> list[TokenizedText]:
        """Tokenize texts behind an instruction, each cut to ``max_length`` tokens."""
        texts = [encodable(text) for text in texts]
        if not instruction:  # no offsets needed, which is faster
            batch = self.backend.encode_batch_fast(texts)
            return [_cut(encoded.ids, 1, max_length) for encoded in batch]
        batch = self.backend.encode_batch([instruction + text for text in texts])
        return [
            _cut(encoded.ids, _first_of_text(encoded, text, len(instruction)), max_length)
            for encoded, text in zip(batch, texts, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the text of single tokens.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        pieces = [self.backend.id_to_token(token) for token in ids]
        if None in pieces:
            unknown = sorted({token for token, piece in zip(ids, pieces, strict=True) if not piece})
            raise InputError(
                f"token ids {unknown} are unknown; the vocabulary has "
                f"{self.backend.get_vocab_size()}: were they written by another model?"
            )
        texts = self.backend.decode_batch([[token] for token in ids], skip_special_tokens=False)
        # a piece that is nothing but the mark of a space decodes to nothing: show the piece
        return [text or str(piece) for text, piece in zip(texts, pieces, strict=True)]


def _cut(ids: list[int], start: int, max_length: int) -> TokenizedText:
    truncated = len(ids) > max_length
    if truncated:
        ids = [*ids[: max_length - 1], ids[-1]]
    return TokenizedText(np.array(ids, dtype=np.int64), start, truncated)


def _first_of_text(encoded: tokenizers.Encoding, text: str, instruction: int) -> int:
    """Return the position of the first token that reaches into the text.

    A token may straddle the boundary; then it belongs to the text. Characters that the tokenizer
    drops (spaces, control characters) have no token.
    """
    for character in range(len(text) - len(text.lstrip()), len(text)):
        token: int | None = encoded.char_to_token(instruction + character)
        if token is not None:
            return token
    return len(encoded.ids) - 1
