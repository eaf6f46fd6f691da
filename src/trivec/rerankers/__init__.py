"""Models that read query and passage together and score the pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec._runtime.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from trivec.rerankers.flag import FlagReranker, FlagRerankerOptions
    from trivec.rerankers.maxsim import MaxSimReranker
    from trivec.rerankers.onnx import OnnxReranker, OnnxRerankerOptions
    from trivec.rerankers.ranking import Ranked, RankingOptions, rank

__all__ = [
    "FlagReranker",
    "FlagRerankerOptions",
    "MaxSimReranker",
    "OnnxReranker",
    "OnnxRerankerOptions",
    "Ranked",
    "RankingOptions",
    "rank",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "trivec.rerankers.flag": ("FlagReranker", "FlagRerankerOptions"),
        "trivec.rerankers.maxsim": ("MaxSimReranker",),
        "trivec.rerankers.onnx": ("OnnxReranker", "OnnxRerankerOptions"),
        "trivec.rerankers.ranking": ("Ranked", "RankingOptions", "rank"),
    },
)
