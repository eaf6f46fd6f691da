"""Encoders and rerankers by name: a model of the hub, a folder, an export, or ``mini``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from trivec._models.backend import Backend, choose_backend
from trivec._models.folder import HubOptions
from trivec._models.onnx_choice import OnnxPrecision
from trivec._models.onnx_session import execution_provider
from trivec._runtime.typed import checked

if TYPE_CHECKING:
    from trivec._runtime.checks import Precision
    from trivec.encoders import FlagEncoder, OnnxEncoder
    from trivec.mini import MiniReranker
    from trivec.rerankers import FlagReranker, OnnxReranker

__all__ = ["Backend", "load_encoder", "load_reranker"]


@checked
def load_encoder(
    model: str | Path,
    *,
    device: str = "cpu",
    precision: str | None = None,
    backend: Backend | None = None,
    hub: HubOptions | None = None,
) -> FlagEncoder | OnnxEncoder:
    """Return the encoder of that name; nothing is loaded yet.

    Args:
        model: ``"mini"``, a hub id such as ``BAAI/bge-m3``, a folder in the BGE-M3 format, or one
            that ``trivec export`` wrote. A folder that is called mini is reached as ``"./mini"``.
        device: where it computes, as PyTorch names it.
        precision: of ``onnx`` ``auto``, ``fp32`` or ``int8``, by default ``auto``; of ``flag``
            ``fp32``, ``bf16`` or ``fp16``, by default ``fp32``.
        backend: ``onnx`` is ONNX Runtime, ``flag`` is FlagEmbedding on PyTorch. None takes
            ``onnx`` on a CPU where it is installed, and ``flag`` on other devices; the log says
            which and why.
        hub: revision, cache and whether to stay offline, for a hub id.

    Raises:
        InputError: the precision, the device or the backend is not allowed.
    """
    if choose_backend(model, device=device, precision=precision, asked=backend) == "onnx":
        from trivec.encoders import OnnxEncoder, OnnxOptions

        options = OnnxOptions(
            precision=cast("OnnxPrecision", precision or "auto"),
            provider=execution_provider(device),
            hub=hub or HubOptions(),
        )
        if model != "mini":
            return OnnxEncoder(model, options=options)
        from trivec.mini import MiniEncoder

        return MiniEncoder(options)
    from trivec.encoders import FlagEncoder, FlagOptions

    plain = cast("Precision", precision or "fp32")
    if model == "mini":
        from trivec.mini import MINI_FLAG_OPTIONS, MiniFlagEncoder

        return MiniFlagEncoder(replace(MINI_FLAG_OPTIONS, device=device, precision=plain))
    return FlagEncoder(
        model, options=FlagOptions(device=device, precision=plain, **_hub_arguments(hub))
    )


@checked
def load_reranker(
    model: str | Path,
    *,
    device: str = "cpu",
    backend: Backend | None = None,
    hub: HubOptions | None = None,
) -> MiniReranker | OnnxReranker | FlagReranker:
    """Return the reranker of that name; nothing is loaded yet.

    Args:
        model: ``"mini"``, a hub id such as ``BAAI/bge-reranker-v2-m3``, a folder with a
            cross-encoder, or one that ``trivec export`` wrote. A folder that is called mini is
            reached as ``"./mini"``.
        device: where it computes, as PyTorch names it; ``mini`` runs in ONNX Runtime on all.
        backend: as in :func:`load_encoder`.
        hub: as in :func:`load_encoder`.

    Raises:
        InputError: the device or the backend is not allowed.
    """
    if model == "mini":
        from trivec.encoders import OnnxOptions
        from trivec.mini import MiniReranker

        return MiniReranker(OnnxOptions(provider=execution_provider(device)))
    from trivec.rerankers import (
        FlagReranker,
        FlagRerankerOptions,
        OnnxReranker,
        OnnxRerankerOptions,
    )

    if choose_backend(model, device=device, precision=None, asked=backend) == "onnx":
        options = OnnxRerankerOptions(provider=execution_provider(device), hub=hub or HubOptions())
        return OnnxReranker(model, options=options)
    return FlagReranker(model, options=FlagRerankerOptions(device=device, **_hub_arguments(hub)))


class _HubArguments(TypedDict):
    revision: str | None
    cache_dir: Path | None
    local_files_only: bool


def _hub_arguments(hub: HubOptions | None) -> _HubArguments:
    """Return what the options of FlagEmbedding's classes call the hub's."""
    hub = hub or HubOptions()
    return {
        "revision": hub.revision,
        "cache_dir": hub.cache_dir,
        "local_files_only": hub.local_files_only,
    }
