"""From texts to token ids, and where in them the text itself begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec._models.batching import padded
from trivec._models.tokenizing import encodable, unlimited
from trivec._models.vocabulary import Vocabulary
from trivec._runtime.lazy import Lazy
from trivec.errors import InputError, ModelError

if TYPE_CHECKING:
    import tokenizers
    from numpy.typing import NDArray

__all__ = ["LocatedText", "PaddedTexts", "TextTokenizer", "TokenizedText", "cut", "pad_texts"]

SPECIALS_AROUND = 2  # <s> text </s>
EARLY_TEXTS, EARLY_CHARACTERS = 16, 2_000
"""What a process reads before it loads a large tokenizer: so many texts, each call so long."""


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


@dataclass(frozen=True, slots=True, eq=False)
class PaddedTexts:
    """A batch as a model takes it.

    Attributes:
        ids: ``(texts, longest)`` int64, padded on the right.
        real: ``(texts, longest)`` bool, False for padding.
        content: ``(texts, longest)`` bool, True for a text's own tokens.
        counts: ``(texts,)`` int64, how many tokens are a text's own.
    """

    ids: NDArray[np.int64]
    real: NDArray[np.bool_]
    content: NDArray[np.bool_]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LocatedText:
    """A whole text's tokens and the characters that each stands for.

    Attributes:
        ids: ``(n,)`` int64, the text's own tokens.
        starts: ``(n,)`` the first character of each token in the text.
        ends: ``(n,)`` the character after its last.
        before: what comes before the text: CLS and the instruction's tokens.
        after: what comes after it.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]


class TextTokenizer:
    """The Hugging Face tokenizer of an M3 model, cut off in Python.

    The Rust object is never changed, so threads need no lock.

    Args:
        pretrained: a fast tokenizer of transformers, given up to this object.
        vocabulary: its pieces. The first few short texts are read by these, since the whole
            tokenizer takes long to load.

    Raises:
        ModelError: the tokenizer is not a fast one, or is not of M3's kind.
    """

    def __init__(self, pretrained: Any, vocabulary: Vocabulary | None = None) -> None:
        self._backend = Lazy(partial(unlimited, pretrained))
        self._vocabulary = vocabulary
        self._early = EARLY_TEXTS
        small = self.backend if vocabulary is None else vocabulary.tokenizer(())[0]
        if pretrained.pad_token_id is None or len(small.encode("").ids) != SPECIALS_AROUND:
            raise ModelError(
                "the model's tokenizer must have a padding token and put one special token before "
                "and one after a text, as XLM-RoBERTa and BERT do"
            )
        self.pad: int = pretrained.pad_token_id
        self.unknown: int | None = pretrained.unk_token_id
        kinds = ("cls", "eos", "pad", "unk")
        ids = {getattr(pretrained, f"{kind}_token_id") for kind in kinds} - {None}
        self.unused = np.array(sorted(ids), dtype=np.int64)

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The whole tokenizer."""
        return self._backend()

    def load(self) -> None:
        """Load the whole tokenizer now rather than when more than a few texts are read."""
        self._backend()

    def read(
        self, texts: Sequence[str], *, instruction: str, max_length: int
    ) -> list[TokenizedText]:
        """Tokenize texts behind an instruction, each cut to ``max_length`` tokens."""
        texts = [encodable(text) for text in texts]
        whole = [instruction + text for text in texts]
        backend, known = self._early_backend(whole) or (self.backend, None)
        if not instruction:  # no offsets needed, which is faster
            return [
                cut(_ids(encoded, known), 1, max_length)
                for encoded in backend.encode_batch_fast(texts)
            ]
        return [
            cut(_ids(encoded, known), _first_of_text(encoded, text, len(instruction)), max_length)
            for encoded, text in zip(backend.encode_batch(whole), texts, strict=True)
        ]

    def _early_backend(
        self, texts: Sequence[str]
    ) -> tuple[tokenizers.Tokenizer, NDArray[np.int64]] | None:
        """Return a small tokenizer for a few short texts, as long as the whole one is not there."""
        if self._vocabulary is None or self._backend.ready or self._early < len(texts):
            return None
        if sum(map(len, texts)) > EARLY_CHARACTERS:
            return None
        self._early -= len(texts)
        return self._vocabulary.for_texts(texts)

    def locate(self, text: str, *, instruction: str) -> LocatedText:
        """Tokenize a whole text behind an instruction, and say where each token lies in it.

        Raises:
            InputError: halves of surrogate pairs, which the tokenizer joins: places would shift.
        """
        readable = encodable(text)
        if len(readable) != len(text):
            raise InputError(
                "the document holds surrogate pairs as two characters each, so that places in it "
                "are ambiguous; pass it through trivec.text.clean first"
            )
        encoded = self.backend.encode(instruction + readable)
        first = _first_of_text(encoded, readable, len(instruction))
        ids = np.array(encoded.ids, dtype=np.int64)
        places = np.array(encoded.offsets, dtype=np.int64).reshape(-1, 2)[first:-1]
        places = np.maximum(places - len(instruction), 0)
        return LocatedText(ids[first:-1], places[:, 0], places[:, 1], ids[:first], ids[-1:])

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


def _ids(encoded: tokenizers.Encoding, known: NDArray[np.int64] | None) -> list[int]:
    """Return the ids of an encoding; of a small tokenizer, what the whole one calls them."""
    ids: list[int] = encoded.ids
    return ids if known is None else known[ids].tolist()


def cut(ids: list[int], start: int, max_length: int) -> TokenizedText:
    """Return what the model reads of these ids: the last one, a special token, is kept."""
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


def pad_texts(texts: Sequence[TokenizedText], pad: int) -> PaddedTexts:
    """Return a batch of texts, filled up with the padding token."""
    ids, real = padded([text.ids for text in texts], pad)
    starts = np.array([text.start for text in texts])
    lengths = np.array([len(text.ids) for text in texts])
    content = real & (np.arange(ids.shape[1]) >= starts[:, None])
    return PaddedTexts(ids, real, content, np.maximum(lengths - starts, 0))
