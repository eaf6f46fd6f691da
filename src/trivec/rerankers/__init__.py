"""Models that read query and passage together and score the pair."""

from __future__ import annotations

from trivec.rerankers._ranking import Ranked, RankingOptions, rank
from trivec.rerankers.maxsim import MaxSimReranker

__all__ = ["MaxSimReranker", "Ranked", "RankingOptions", "rank"]
