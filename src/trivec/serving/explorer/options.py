"""What an explorer is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trivec._runtime.checks import check_least
from trivec._runtime.typed import check_fields
from trivec.errors import InputError
from trivec.protocols import ChatModel, Reranker
from trivec.rerankers import RankingOptions
from trivec.types import SearchOptions

__all__ = ["MOST_HITS", "ExplorerOptions"]

MOST_HITS = 50
"""Passages of a list at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerOptions:
    """What the page begins with, and what it can do besides searching.

    Attributes:
        search: the search that the page begins with; a URL changes it.
        k: passages of each list.
        filter: by metadata, that the page begins with.
        reranker: orders anew what was found, where that is switched on.
        ranking: how it does.
        candidates: passages that it reads.
        chat: answers, and rewrites questions; None offers neither.
        min_evidence: below which no answer is given; None takes what was measured for the encoder.

    Raises:
        InputError: a value that cannot be used.
    """

    search: SearchOptions = field(default_factory=SearchOptions)
    k: int = 10
    filter: Mapping[str, Any] | None = None
    reranker: Reranker | None = None
    ranking: RankingOptions = field(default_factory=RankingOptions)
    candidates: int = 20
    chat: ChatModel | None = None
    min_evidence: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("k", self.k, 1)
        check_least("candidates", self.candidates, 1)
        if self.k > MOST_HITS:
            raise InputError(f"k={self.k}; allowed: at most {MOST_HITS}")
        if self.search.mmr_lambda is not None or self.search.offset:
            raise InputError("mmr_lambda and offset are not explored; leave them out")
