"""Models that read query and passage together and score the pair."""

from __future__ import annotations

from trivec.rerankers._ranking import Ranked, RankingOptions, rank
from trivec.rerankers.flag import FlagReranker, FlagRerankerOptions
from trivec.rerankers.maxsim import MaxSimReranker

__all__ = [
    "FlagReranker",
    "FlagRerankerOptions",
    "MaxSimReranker",
    "Ranked",
    "RankingOptions",
    "rank",
]
