"""From a query and passages to the token ids of their pairs, cut off without a text round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec._models.tokenizing import encodable, unlimited
from trivec.errors import InputError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PairLengths", "PairTokenizer", "TokenizedPair"]


@dataclass(frozen=True, slots=True)
class PairLengths:
    """How long what the model reads may be, in tokens.

    Attributes:
        pair: the whole, special tokens included.
        query: the query alone, without special tokens.
        overlap: between the windows of a longer passage; None cuts it off instead.
    """

    pair: int
    query: int
    overlap: int | None


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedPair:
    """What the model reads of one query and one passage, or one window of it.

    Attributes:
        ids: ``(n,)`` int64, special tokens included.
        types: ``(n,)`` int64, the segment of each token, where the model has segments.
        passage: the passage's number.
    """

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    passage: int


@dataclass(frozen=True, slots=True)
class _Segment:
    """A run of special tokens, each with its segment."""

    ids: list[int]
    types: list[int]


class PairTokenizer:
    """Tokenizes query and passages once each and joins the ids as the model's tokenizer would.

    FlagEmbedding tokenizes, decodes and tokenizes the decoded text again.

    Args:
        pretrained: a fast tokenizer of transformers, given up to this object.
        lengths: of query, passage and window.

    Raises:
        ModelError: the tokenizer is not a fast one, or has no way to join two texts.
        InputError: a query of full length leaves no room for a passage.
    """

    def __init__(self, pretrained: Any, lengths: PairLengths) -> None:
        self._backend = unlimited(pretrained)
        if pretrained.pad_token_id is None:
            raise ModelError("the model's tokenizer has no padding token; set its pad_token")
        self.pad: int = pretrained.pad_token_id
        self.has_types = "token_type_ids" in pretrained.model_input_names
        self._lengths = lengths
        self._learn_specials()
        if lengths.query + self._specials >= lengths.pair:
            raise InputError(
                f"query_max_length={lengths.query} leaves no room for a passage in max_length="
                f"{lengths.pair} with {self._specials} special tokens; set query_max_length to at "
                f"most {lengths.pair - self._specials - 1}"
            )

    def read(self, query: str, passages: Sequence[str]) -> list[TokenizedPair]:
        """Return the pairs that the model reads, each passage's in a row and at least one."""
        (asked,) = self._tokenize([query])
        asked = asked[: self._lengths.query]
        before, between, after = self._frame
        head = np.array([*before.ids, *asked, *between.ids], dtype=np.int64)
        head_types = [*before.types, *[self._types[0]] * len(asked), *between.types]
        tail = np.array(after.ids, dtype=np.int64)
        room = self._lengths.pair - len(head) - len(tail)
        pairs = []
        for number, passage in enumerate(self._tokenize(passages)):
            for start in self._starts(len(passage), room):
                window = np.array(passage[start : start + room], dtype=np.int64)
                types = [*head_types, *[self._types[1]] * len(window), *after.types]
                ids = np.concatenate([head, window, tail])
                pairs.append(TokenizedPair(ids, np.array(types, dtype=np.int64), number))
        return pairs

    def _starts(self, length: int, room: int) -> range:
        """Return where the windows of a passage begin: all of it is read unless it is cut off."""
        if self._lengths.overlap is None or length <= room:
            return range(1)
        # a long query leaves little room: a window moves by half of it at least
        overlap = min(self._lengths.overlap, room // 2)
        return range(0, length - overlap, room - overlap)

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        texts = [encodable(text) for text in texts]
        batch = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        return [encoded.ids for encoded in batch]

    def _learn_specials(self) -> None:
        """See in an example which special tokens go around two texts, and their segments."""
        example = self._backend.encode("a", "b")
        sides = example.sequence_ids
        if 0 not in sides or 1 not in sides or sides.index(1) < sides.index(0):
            raise ModelError("the model's tokenizer cannot join a query and a passage")
        first = sides.index(0), len(sides) - sides[::-1].index(0)
        second = sides.index(1), len(sides) - sides[::-1].index(1)
        spans = [slice(0, first[0]), slice(first[1], second[0]), slice(second[1], None)]
        self._frame = [_Segment(example.ids[span], example.type_ids[span]) for span in spans]
        self._types = example.type_ids[first[0]], example.type_ids[second[0]]
        self._specials = sum(len(segment.ids) for segment in self._frame)
