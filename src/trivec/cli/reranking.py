"""``--rerank``: what was found is read again together with the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trivec.types import Hit

if TYPE_CHECKING:
    from trivec.protocols import Reranker
    from trivec.rerankers import RankingOptions

__all__ = ["CANDIDATES", "ranking_by", "reranked"]

CANDIDATES = 50
"""Passages that are read, or as many as are asked for."""


def ranking_by(model: str, device: str) -> tuple[Reranker, RankingOptions]:
    """Return a reranker by its name, and how it is used."""
    from trivec.loading import load_reranker
    from trivec.mini.reranker import RETRIEVAL_WEIGHT
    from trivec.rerankers import RankingOptions

    weight = RETRIEVAL_WEIGHT if model == "mini" else 0.0
    return load_reranker(model, device=device), RankingOptions(retrieval_weight=weight)


def reranked(
    query: str, hits: Sequence[Hit], k: int, model: str, device: str
) -> list[tuple[Hit, float]]:
    """Return the best ``k`` hits in their new order, with the reranker's scores."""
    from trivec.rerankers import rank

    reranker, options = ranking_by(model, device)
    texts = [hit.chunk.text for hit in hits]
    retrieved = [hit.score for hit in hits]
    order = rank(reranker, query, texts, replace(options, top_n=k), retrieved=retrieved)
    return [(hits[one.position], one.score) for one in order]
