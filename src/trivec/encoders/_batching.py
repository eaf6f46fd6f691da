"""Batches by a budget of padded tokens, and what running out of memory looks like."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["batch_size", "is_out_of_memory"]

_ALLOCATION_FAILURES = (
    "DefaultCPUAllocator",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def batch_size(lengths: Sequence[int], budget: int) -> int:
    """Return how many of the next texts fit into one forward.

    Args:
        lengths: token counts in descending order, at least one: the first decides the padding.
        budget: the most padded tokens, ``rows x longest``; a single longer text goes alone.
    """
    return max(1, min(len(lengths), budget // lengths[0]))


def is_out_of_memory(error: BaseException) -> bool:
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
