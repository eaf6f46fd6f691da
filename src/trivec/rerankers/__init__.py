"""Models that read query and passage together and score the pair."""

from __future__ import annotations

from pathlib import Path

from trivec.models._onnx_folder import MANIFEST
from trivec.models._onnx_session import execution_provider
from trivec.rerankers._ranking import Ranked, RankingOptions, rank
from trivec.rerankers.flag import FlagReranker, FlagRerankerOptions
from trivec.rerankers.maxsim import MaxSimReranker
from trivec.rerankers.mini import MiniReranker, MiniRerankerOptions
from trivec.rerankers.onnx import OnnxReranker, OnnxRerankerOptions

__all__ = [
    "FlagReranker",
    "FlagRerankerOptions",
    "MaxSimReranker",
    "MiniReranker",
    "MiniRerankerOptions",
    "OnnxReranker",
    "OnnxRerankerOptions",
    "Ranked",
    "RankingOptions",
    "load_reranker",
    "rank",
]


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
