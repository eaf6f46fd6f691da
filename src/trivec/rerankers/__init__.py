"""Models that read query and passage together and score the pair."""

from __future__ import annotations

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
