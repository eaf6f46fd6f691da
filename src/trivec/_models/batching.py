"""Batches by a budget of padded tokens, smaller ones where memory runs out, and their padding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from trivec.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Batching", "padded", "run_in_batches", "token_budget"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_CPU_TOKENS = 512
_ACCELERATOR_TOKENS = 8192
_ALLOCATION_FAILURES = (
    "DefaultCPUAllocator",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True, slots=True)
class Batching:
    """How texts are batched.

    Attributes:
        budget: the most padded tokens of one forward, ``rows x longest``; a single longer text
            goes alone.
        device: where the model is, for the error's message.
        advice: what to do when not even one text fits into memory.
        pads: whether texts of different lengths share a forward. A model in 8 bits rounds more
            differently beside padding than a search should show.
    """

    budget: int
    device: str
    advice: str
    pads: bool = True


def token_budget(asked: int | None, device: str) -> int:
    """Return how many padded tokens one forward takes where the user did not say.

    A processor is quickest while what a forward touches stays in its caches, an accelerator while
    all of it has work.
    """
    if asked is not None:
        return asked
    return _CPU_TOKENS if device.startswith("cpu") else _ACCELERATOR_TOKENS


def run_in_batches(
    texts: Sequence[T],
    lengths: Sequence[int],
    run: Callable[[Sequence[T]], Sequence[R]],
    batching: Batching,
) -> list[R]:
    """Run a model over texts sorted by length; return the results in the order of the texts.

    Memory that ran out halves the batch from there on; every other error is raised at once.

    Args:
        texts: tokenized texts.
        lengths: their token counts.
        run: computes one batch in one forward, a result for each text.
        batching: the budget.

    Raises:
        ModelError: one text alone does not fit into memory.
    """
    order = sorted(range(len(texts)), key=lambda index: -lengths[index])
    descending = [lengths[index] for index in order]
    budget = batching.budget
    results: list[R] = []
    while (done := len(results)) < len(order):
        count = _batch_size(descending[done:], budget, pads=batching.pads)
        try:
            results += run([texts[index] for index in order[done : done + count]])
        except (MemoryError, RuntimeError) as err:
            if not _is_out_of_memory(err):
                raise
            longest = descending[done]
            if count == 1:
                raise ModelError(
                    f"one text of {longest} tokens does not fit into the memory of "
                    f"{batching.device}; {batching.advice}"
                ) from err
            budget = count // 2 * longest
            logger.warning(
                "out of memory at %d x %d tokens; going on with batches of %d tokens, "
                "set max_batch_tokens to it",
                count,
                longest,
                budget,
            )
    restored = sorted(zip(order, results, strict=True), key=lambda pair: pair[0])
    return [result for _, result in restored]


def padded(
    rows: Sequence[NDArray[np.int64]], fill: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return rows as one ``(rows, longest)`` array, and the mask of what is not padding."""
    lengths = np.array([len(row) for row in rows])
    real = np.arange(lengths.max()) < lengths[:, None]
    values = np.full(real.shape, fill, dtype=np.int64)
    values[real] = np.concatenate(rows)
    return values, real


def _batch_size(lengths: Sequence[int], budget: int, *, pads: bool) -> int:
    """Return how many of the next texts fit; the first is the longest and decides the padding."""
    most = max(1, min(len(lengths), budget // lengths[0]))
    if pads:
        return most
    return next((at for at in range(1, most) if lengths[at] != lengths[0]), most)


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell memory that ran out, where a smaller batch helps, from every other error.

    PyTorch has an exception for the GPU (``torch.OutOfMemoryError``, a RuntimeError); on the CPU
    and from cuBLAS it raises a plain RuntimeError, which only its message tells apart.
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    if type(error).__name__ == "OutOfMemoryError":
        return True
    return any(sign in str(error) for sign in _ALLOCATION_FAILURES)
