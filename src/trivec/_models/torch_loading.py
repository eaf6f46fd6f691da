"""Loads a model through FlagEmbedding; what can go wrong is one of our errors."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises; nothing is unpickled here
from types import ModuleType
from typing import Any

from trivec._runtime.dependencies import unavailable
from trivec.errors import InputError, ModelError

__all__ = ["load_with_flag_embedding", "no_progress_bars", "require_device"]

logger = logging.getLogger(__name__)

OLDEST_FLAG_EMBEDDING = (1, 4, 2)


def load_with_flag_embedding(path: Path, load: Callable[[ModuleType], Any]) -> Any:
    """Return what ``load`` makes of the module ``FlagEmbedding``.

    Args:
        path: the model's folder, for messages.
        load: called once, with progress bars off.

    Raises:
        MissingDependencyError: FlagEmbedding is not installed.
        ModelError: FlagEmbedding is too old, or cannot load the folder.
    """
    try:
        from safetensors import SafetensorError

        version = importlib.metadata.version("FlagEmbedding")
    except ImportError as err:  # PackageNotFoundError is one
        raise unavailable(err, "FlagEmbedding", "flag") from err
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < OLDEST_FLAG_EMBEDDING:
        oldest = ".".join(map(str, OLDEST_FLAG_EMBEDDING))
        raise ModelError(
            f"FlagEmbedding {version} is installed, {oldest} or newer is needed (older ones do not "
            f"work with today's transformers); run: pip install 'FlagEmbedding>={oldest}'"
        )
    try:
        import FlagEmbedding
    except ImportError as err:
        raise unavailable(err, "FlagEmbedding", "flag") from err
    logger.info("loading %s", path)
    try:
        with no_progress_bars():
            return load(FlagEmbedding)
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as err:
        raise ModelError(
            f"FlagEmbedding cannot load {path} ({type(err).__name__}: {err}); "
            "check that the folder is complete, or download it again"
        ) from err


def require_device(device: str) -> None:
    """Refuse a device that this machine lacks, and let forked processes compute on the CPU.

    Raises:
        InputError: PyTorch knows no such device.
        ModelError: there is none here.
        MissingDependencyError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as err:
        raise unavailable(err, "torch", "flag") from err
    _forks_with(torch)
    if device == "cpu":
        return
    try:
        torch.device(device)
    except RuntimeError as err:
        raise InputError(
            f"device={device!r} is none that PyTorch knows; this machine has "
            f"{', '.join(_devices(torch))}"
        ) from err
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as err:  # each backend fails in its own way
        reason = str(err).splitlines()[0]
        raise ModelError(
            f"device={device!r} cannot be used here ({type(err).__name__}: {reason}); this "
            f"machine has {', '.join(_devices(torch))}"
        ) from err


def _devices(torch: ModuleType) -> list[str]:
    devices = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*devices, "mps"] if torch.backends.mps.is_available() else devices


@cache
def _forks_with(torch: ModuleType) -> None:
    """Compute with one thread in processes that are forked from here: the others are not there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar for weights that are on the disk."""
    from transformers.utils import logging as settings

    if not settings.is_progress_bar_enabled():
        yield
        return
    settings.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        settings.enable_progress_bar()  # type: ignore[no-untyped-call]
