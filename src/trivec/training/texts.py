"""The texts of a training as the model reads them, each distinct one once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trivec.encoders.tokens import TextTokenizer, TokenizedText

__all__ = ["Reading", "Texts"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts of one kind are read.

    Attributes:
        instruction: put before each.
        max_length: tokens read of each.
    """

    instruction: str
    max_length: int


class Texts:
    """Distinct texts, numbered: queries first, then passages.

    Args:
        queries: in any order; equal ones are one.
        passages: likewise. A text that is both is kept twice, since it is read in two ways.
        tokenizer: the model's.
        readings: of queries and of passages.
    """

    def __init__(
        self,
        queries: Iterable[str],
        passages: Iterable[str],
        tokenizer: TextTokenizer,
        readings: tuple[Reading, Reading],
    ) -> None:
        asked, stored = list(dict.fromkeys(queries)), list(dict.fromkeys(passages))
        self._queries = {text: at for at, text in enumerate(asked)}
        self._passages = {text: at + len(asked) for at, text in enumerate(stored)}
        self.tokens: list[TokenizedText] = []
        for texts, reading in zip((asked, stored), readings, strict=True):
            self.tokens += tokenizer.read(
                texts, instruction=reading.instruction, max_length=reading.max_length
            )
        self.truncated = sum(one.truncated for one in self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def query(self, text: str) -> int:
        """Return the number of a query."""
        return self._queries[text]

    def passage(self, text: str) -> int:
        """Return the number of a passage."""
        return self._passages[text]

    @property
    def queries(self) -> Sequence[int]:
        """The numbers of all queries."""
        return range(len(self._queries))

    @property
    def passages(self) -> Sequence[int]:
        """The numbers of all passages."""
        return range(len(self._queries), len(self.tokens))
