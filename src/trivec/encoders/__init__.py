"""Encoders: text to dense, sparse and ColBERT vectors in one forward pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trivec.encoders.flag import FlagEncoder, FlagOptions, Precision
from trivec.encoders.mini import MINI_OPTIONS, MiniEncoder

__all__ = ["MINI_OPTIONS", "FlagEncoder", "FlagOptions", "MiniEncoder", "load_encoder"]


def load_encoder(
    model: str | Path, *, device: str = "cpu", precision: Precision = "fp32"
) -> FlagEncoder:
    """Return the encoder of that name; nothing is loaded yet.

    Args:
        model: ``"mini"``, a folder in the BGE-M3 format, or a hub id such as ``BAAI/bge-m3``.
            A folder that is called mini is reached as ``"./mini"``.
        device: where it computes, as PyTorch names it.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        InputError: the precision is not allowed.
    """
    if model == "mini":
        return MiniEncoder(replace(MINI_OPTIONS, device=device, precision=precision))
    return FlagEncoder(model, options=FlagOptions(device=device, precision=precision))
