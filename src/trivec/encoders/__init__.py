"""Encoders: text to dense, sparse and ColBERT vectors in one forward pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from trivec.encoders.flag import FlagEncoder, FlagOptions, Precision
from trivec.encoders.mini import MINI_OPTIONS, MiniEncoder
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.encoders.remote import RemoteEncoder, RemoteOptions
from trivec.models._onnx_choice import OnnxPrecision
from trivec.models._onnx_folder import MANIFEST
from trivec.models._onnx_session import execution_provider

__all__ = [
    "MINI_OPTIONS",
    "FlagEncoder",
    "FlagOptions",
    "MiniEncoder",
    "OnnxEncoder",
    "OnnxOptions",
    "RemoteEncoder",
    "RemoteOptions",
    "load_encoder",
]


def load_encoder(
    model: str | Path, *, device: str = "cpu", precision: str | None = None
) -> FlagEncoder | OnnxEncoder:
    """Return the encoder of that name; nothing is loaded yet.

    Args:
        model: ``"mini"``, a folder that ``trivec export`` wrote, a folder in the BGE-M3 format, or
            a hub id such as ``BAAI/bge-m3``. A folder that is called mini is reached as
            ``"./mini"``.
        device: where it computes, as PyTorch names it.
        precision: ``fp32``, ``bf16`` or ``fp16``, by default ``fp32``; of an exported model
            ``auto``, ``fp32`` or ``int8``, by default ``auto``.

    Raises:
        InputError: the precision or the device is not allowed.
    """
    if model != "mini" and Path(model).expanduser().joinpath(MANIFEST).is_file():
        exported = OnnxOptions(
            precision=cast("OnnxPrecision", precision or "auto"),
            provider=execution_provider(device),
        )
        return OnnxEncoder(model, options=exported)
    plain = cast("Precision", precision or "fp32")
    if model == "mini":
        return MiniEncoder(replace(MINI_OPTIONS, device=device, precision=plain))
    return FlagEncoder(model, options=FlagOptions(device=device, precision=plain))
