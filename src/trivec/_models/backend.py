"""What runs a model here: ONNX Runtime or PyTorch, and why."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from trivec._models.onnx_folder import MANIFEST
from trivec._runtime.checks import check_choice
from trivec._runtime.paths import user_path

__all__ = ["Backend", "choose_backend", "describe_backend"]

logger = logging.getLogger(__name__)

Backend: TypeAlias = Literal["onnx", "flag"]
"""What runs a model: ``onnx`` is ONNX Runtime, ``flag`` is FlagEmbedding on PyTorch."""

_OF_TORCH = ("bf16", "fp16")


def choose_backend(
    model: str | Path, *, device: str, precision: str | None, asked: Backend | None
) -> Backend:
    """Return what runs a model, and say in the log why.

    Args:
        model: its name or folder.
        device: where it computes, as PyTorch names it.
        precision: what was asked for.
        asked: the backend that was asked for; None chooses.

    Raises:
        InputError: there is no such backend.
    """
    chosen, why = _chosen(model, device, precision, asked)
    logger.info("%s runs by backend=%r: %s", model, chosen, why)
    return chosen


def describe_backend(device: str = "cpu", precision: str | None = None) -> tuple[Backend, str]:
    """Return what runs models that were not exported, and why."""
    if precision in _OF_TORCH:
        return "flag", f"{precision} is computed by PyTorch alone"
    if precision == "int8":
        return "onnx", "int8 is computed by ONNX Runtime alone"
    if device != "cpu":
        if _installed("torch", "FlagEmbedding"):
            return "flag", f"PyTorch is installed, and the device is {device}"
        return "onnx", f"the device is {device}, and PyTorch is not installed"
    if _installed("onnxruntime"):
        return "onnx", "onnxruntime is installed, and on a CPU it is faster than PyTorch"
    return "flag", "onnxruntime is not installed (pip install 'trivec[onnx]')"


def _chosen(
    model: str | Path, device: str, precision: str | None, asked: Backend | None
) -> tuple[Backend, str]:
    if asked is not None:
        check_choice("backend", asked, Backend)
        return asked, "it was asked for"
    if model != "mini" and user_path("model", model).joinpath(MANIFEST).is_file():
        return "onnx", "the folder holds exported graphs"
    return describe_backend(device, precision)


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)
