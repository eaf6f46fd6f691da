"""What the frozen layers make of every text, computed once and read again at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trivec.encoders.tokens import TokenizedText, pad_texts
from trivec.training.network import Network, Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["States", "in_length_order"]

TOKENS = 4096
"""Padded tokens of one forward while learning; memory grows with them."""


class States:
    """The states that the learning layers are given, by the numbers of texts.

    In half precision in a file: a corpus of a million tokens takes 0.8 GB at a width of 384.

    Args:
        network: what is trained.
        texts: all texts.
        pad: the padding token.
        file: where states are kept; it is written over.
    """

    def __init__(
        self, network: Network, texts: Sequence[TokenizedText], pad: int, file: Path
    ) -> None:
        self._network = network
        self._texts = texts
        self._pad = pad
        self._file = file
        self._ends = np.cumsum([len(text.ids) for text in texts])
        self._kept: NDArray[np.float16] | None = None

    def compute(self, progress: Callable[[int], None]) -> None:
        """Run the frozen layers over all texts; where none is frozen there is nothing to keep."""
        import torch

        if not self._network.frozen_layers:
            return
        width = self._network.backbone.config.hidden_size
        shape = (int(self._ends[-1]), width)
        kept = np.memmap(self._file, np.float16, "w+", shape=shape)
        for group in in_length_order(range(len(self._texts)), self._texts, TOKENS):
            batch = pad_texts([self._texts[at] for at in group], self._pad)
            mask = torch.from_numpy(batch.real).long()
            states = self._network.lower_states(torch.from_numpy(batch.ids), mask)
            rows = states.float().numpy()
            for at, one in zip(group, rows, strict=True):
                kept[self._span(at)] = one[: len(self._texts[at].ids)]
            progress(len(group))
        self._kept = kept

    def outputs(self, numbers: Sequence[int]) -> Outputs:
        """Run the learning layers over some texts, of like length together.

        Args:
            numbers: of the texts, all distinct.

        Returns:
            What they make of the texts, in that order.
        """
        import torch

        groups = in_length_order(numbers, self._texts, TOKENS)
        place = {at: row for row, at in enumerate(at for group in groups for at in group)}
        order = torch.tensor([place[at] for at in numbers])
        return joined([self._of_group(group) for group in groups], order)

    def measure(self, numbers: Sequence[int]) -> None:
        """Run all layers over some texts, for a measurement of time."""
        import torch

        for group in in_length_order(numbers, self._texts, TOKENS):
            batch = pad_texts([self._texts[at] for at in group], self._pad)
            ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.real).long()
            states = self._network.lower_states(ids, mask).float()
            self._network.outputs(states, mask, torch.from_numpy(batch.content), ids)

    def _of_group(self, group: Sequence[int]) -> Outputs:
        import torch

        batch = pad_texts([self._texts[at] for at in group], self._pad)
        ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.real).long()
        if self._kept is None:
            states = self._network.lower_states(ids, mask)
        else:
            rows = self._padded(self._kept, group, batch.ids.shape[1])
            states = torch.from_numpy(rows).float()
        return self._network.outputs(states, mask, torch.from_numpy(batch.content), ids)

    def _padded(
        self, kept: NDArray[np.float16], group: Sequence[int], length: int
    ) -> NDArray[np.float16]:
        rows = np.zeros((len(group), length, kept.shape[1]), np.float16)
        for row, at in zip(rows, group, strict=True):
            row[: len(self._texts[at].ids)] = kept[self._span(at)]
        return rows

    def _span(self, at: int) -> slice:
        end = int(self._ends[at])
        return slice(end - len(self._texts[at].ids), end)


def in_length_order(
    numbers: Sequence[int], texts: Sequence[TokenizedText], budget: int
) -> list[list[int]]:
    """Return groups of texts of like length, each of at most so many padded tokens."""
    groups: list[list[int]] = []
    for at in sorted(numbers, key=lambda one: -len(texts[one].ids)):
        longest = len(texts[groups[-1][0]].ids) if groups else 0
        if not groups or longest * (len(groups[-1]) + 1) > budget:
            groups.append([at])
        else:
            groups[-1].append(at)
    return groups


def joined(parts: Sequence[Outputs], order: Tensor) -> Outputs:
    """Return the outputs of several groups as one, the texts in another order."""
    import torch

    counts = torch.cat([part.counts for part in parts])
    starts = torch.cumsum(counts, 0) - counts
    spans = [torch.arange(int(starts[at]), int(starts[at] + counts[at])) for at in order.tolist()]
    tokens = torch.cat(spans) if spans else torch.zeros(0, dtype=torch.long)
    return Outputs(  # index_select: the gradient of [] is computed number by number
        torch.cat([part.dense for part in parts]).index_select(0, order),
        torch.cat([part.weights for part in parts]).index_select(0, tokens),
        torch.cat([part.rows for part in parts]).index_select(0, tokens),
        torch.cat([part.ids for part in parts]).index_select(0, tokens),
        counts[order],
    )
