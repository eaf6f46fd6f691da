"""Models that read query and passage together and score the pair."""

from __future__ import annotations

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
    "rank",
]
