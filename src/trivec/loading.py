"""Encoders and rerankers by name: a model of the hub, a folder, an export, or ``mini``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from trivec._models.onnx_choice import OnnxPrecision
from trivec._models.onnx_folder import MANIFEST
from trivec._models.onnx_session import execution_provider
from trivec._runtime.typed import checked
from trivec.encoders.flag import FlagEncoder, FlagOptions, Precision
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.mini import MINI_OPTIONS, MiniEncoder, MiniReranker, MiniRerankerOptions
from trivec.rerankers.flag import FlagReranker, FlagRerankerOptions
from trivec.rerankers.onnx import OnnxReranker, OnnxRerankerOptions

__all__ = ["load_encoder", "load_reranker"]


@checked
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


@checked
def load_reranker(
    model: str | Path, *, device: str = "cpu"
) -> MiniReranker | OnnxReranker | FlagReranker:
    """Return the reranker of that name; nothing is loaded yet.

    Args:
        model: ``"mini"``, a folder that ``trivec export`` wrote, a folder with a cross-encoder, or
            a hub id such as ``BAAI/bge-reranker-v2-m3``. A folder that is called mini is reached
            as ``"./mini"``.
        device: where it computes, as PyTorch names it.

    Raises:
        InputError: an exported model does not run on the device.
    """
    if model == "mini":
        return MiniReranker(MiniRerankerOptions(device=device))
    if Path(model).expanduser().joinpath(MANIFEST).is_file():
        options = OnnxRerankerOptions(provider=execution_provider(device))
        return OnnxReranker(model, options=options)
    return FlagReranker(model, options=FlagRerankerOptions(device=device))
