"""Matrix products of a torch model on the CPU by oneDNN, with weights packed once.

torch multiplies float32 matrices by MKL where it was built with it. On some processors (all of
AMD's, for one) MKL leaves half of the machine unused, and for a few rows (a query) the product
spends its time in reading weights that are laid out for another purpose. oneDNN, which torch
carries as well and uses for bfloat16, is faster there. Which of the two it is on the machine at
hand is measured, not guessed: a few products when the model is loaded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["pack_linears"]

logger = logging.getLogger(__name__)

QUERY_ROWS = 16
"""Rows of the products that are compared: about a query's tokens."""
WORTHWHILE = 0.9
"""oneDNN is taken where it needs at most this share of the time: packing changes rounding."""


def pack_linears(module: torch.nn.Module) -> int:
    """Replace a float32 CPU model's linear layers by packed ones, if they are faster here.

    The results differ in rounding only. The packed weights take the place of the plain ones, which
    are freed one by one; where those were mapped from a file, its pages still count as resident
    until the system wants them back. The model cannot be trained, saved or moved any more.

    Args:
        module: its linear layers are replaced in place; other devices and types are left alone.

    Returns:
        How many layers were replaced.
    """
    import torch

    layers = [
        (parent, name, layer)
        for parent in module.modules()
        for name, layer in parent.named_children()
        if type(layer) is torch.nn.Linear  # a subclass computes something else
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
    ]
    if not layers or not _has_onednn():
        return 0
    sizes = [(layer.in_features, layer.out_features) for _, _, layer in layers]
    if not _is_faster(*max(sizes, key=lambda size: size[0] * size[1])):
        return 0
    packed_linear = _packed_linear()
    while layers:  # emptied, so that each plain weight goes before the next is packed
        parent, name, layer = layers.pop()
        setattr(parent, name, packed_linear(layer))
    logger.info("%d linear layers are computed by oneDNN with packed weights", len(sizes))
    return len(sizes)


def _has_onednn() -> bool:
    """Whether this build of torch has the two operators, which it uses for compiled models."""
    import torch

    names = ("_reorder_linear_weight", "_linear_pointwise")
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in names)


def _pack(weight: torch.Tensor) -> torch.Tensor:
    import torch

    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, QUERY_ROWS)  # noqa: SLF001
    return packed


def _product(rows: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    import torch

    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
        rows, packed, bias, "none", [], ""
    )
    return result


@cache
def _packed_linear() -> type[torch.nn.Module]:
    """Return the layer's class; made late, since its base is torch's."""
    import torch

    class PackedLinear(torch.nn.Module):
        """A linear layer whose weight is laid out for oneDNN."""

        def __init__(self, layer: torch.nn.Linear) -> None:
            super().__init__()
            self.in_features, self.out_features = layer.in_features, layer.out_features
            # neither is a parameter: a packed tensor cannot be moved, cast or saved
            self._packed = _pack(layer.weight.detach())
            self._bias = None if layer.bias is None else layer.bias.detach()

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return _product(rows, self._packed, self._bias)

    return PackedLinear


@cache
def _is_faster(width: int, height: int) -> bool:
    """Measure products of one layer's size, once in a process.

    Many copies of the weight take turns, so that they come from memory as a model's layers do.
    """
    import torch

    copies = max(2, min(16, 2**26 // (width * height * 4)))  # up to 64 MB
    with torch.inference_mode():
        rows = torch.ones(QUERY_ROWS, width)
        plain = [torch.ones(height, width) for _ in range(copies)]
        try:
            packed = [_pack(weight) for weight in plain]
            plain_time = _microseconds(
                lambda weight: torch.nn.functional.linear(rows, weight), plain
            )
            packed_time = _microseconds(lambda weight: _product(rows, weight, None), packed)
        except RuntimeError:  # this processor, or this version, cannot
            logger.debug("oneDNN cannot multiply here", exc_info=True)
            return False
    logger.debug(
        "a product of %d x %d: %.0f us, packed %.0f us", width, height, plain_time, packed_time
    )
    return packed_time <= WORTHWHILE * plain_time


def _microseconds(
    product: Callable[[torch.Tensor], object], weights: Sequence[torch.Tensor]
) -> float:
    """Return the time of one product, the best of some rounds over all weights."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for weight in weights:
            product(weight)
        rounds.append(time.perf_counter() - start)
    return min(rounds) / len(weights) * 1e6
