"""The texts of a training as the model reads them, each distinct one once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

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
        queries: each with the instruction that stands before it, or None for that of all; in any
            order, and equal ones are one.
        passages: likewise. A text that is both is kept twice, since it is read in two ways.
        tokenizer: the model's.
        readings: of queries and of passages.
    """

    def __init__(
        self,
        queries: Iterable[tuple[str, str | None]],
        passages: Iterable[str],
        tokenizer: TextTokenizer,
        readings: tuple[Reading, Reading],
    ) -> None:
        asked, stored = list(dict.fromkeys(queries)), list(dict.fromkeys(passages))
        self._queries = {query: at for at, query in enumerate(asked)}
        self._passages = {text: at + len(asked) for at, text in enumerate(stored)}
        of_queries, of_passages = readings
        self.tokens: list[TokenizedText] = []
        for prompt, group in groupby(asked, key=lambda query: query[1]):
            self.tokens += tokenizer.read(
                [text for text, _ in group],
                instruction=of_queries.instruction if prompt is None else prompt,
                max_length=of_queries.max_length,
            )
        self.tokens += tokenizer.read(
            stored, instruction=of_passages.instruction, max_length=of_passages.max_length
        )
        self.truncated = sum(one.truncated for one in self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def query(self, text: str, prompt: str | None = None) -> int:
        """Return the number of a query."""
        return self._queries[text, prompt]

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
