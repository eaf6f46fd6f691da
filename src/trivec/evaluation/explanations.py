"""What an explanation says, and what it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trivec._runtime.checks import check_least
from trivec.errors import InputError
from trivec.index import DEFAULT_SEARCH
from trivec.protocols import Reranker
from trivec.query import Filter
from trivec.rerankers import RankingOptions
from trivec.types import MatchedTerm, SearchOptions

__all__ = ["ArmAccount", "ExplainOptions", "Explanation", "Reranking", "TokenMatch"]


@dataclass(frozen=True, slots=True)
class ArmAccount:
    """What one arm said of a passage.

    Attributes:
        arm: its name.
        rank: from 1; None where it is not among the first 1,000.
        score: exact; None where the arm does not match the passage.
        taken: whether the passage is among the candidates that were fused.
        part: what the arm added to the fused score; None where scores were not fused, or where
            equal scores leave the order that the engine took unknown.
        weight: what the arm counted; None where the fusion has no weights.
        terms: the words or tokens that question and passage share, heaviest first.
        rest: what tokens without anything to see, such as a space, add to the score.
    """

    arm: str
    rank: int | None
    score: float | None
    taken: bool
    part: float | None = None
    weight: float | None = None
    terms: tuple[MatchedTerm, ...] = ()
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """A token of the question, and the token of the passage that is most like it; their cosine."""

    token: str
    passage_token: str
    score: float


@dataclass(frozen=True, slots=True)
class Reranking:
    """What a reranker changed.

    Attributes:
        before: rank from 1 of the passage in what it read.
        after: rank from 1 in its order.
        score: what it gave the passage.
        kept: whether the passage is among those that it keeps.
    """

    before: int
    after: int
    score: float
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a passage stands where it stands.

    Attributes:
        query: what was asked.
        id: of the passage.
        text: the passage; empty where there is none of that id.
        rank: from 1 in the result, after the reranker where there is one; None where it is not
            in it.
        score: the score that the order follows; None where the passage is no candidate.
        reason: why it is there, or missing, in a sentence.
        fusion: how the arms became one list.
        arms: what each arm said.
        alignment: ColBERT's best token for each token of the question; empty without ColBERT.
        reranking: what the reranker changed; None without one, or where it did not read it.
    """

    query: str
    id: str
    text: str
    rank: int | None
    score: float | None
    reason: str
    fusion: str = ""
    arms: tuple[ArmAccount, ...] = ()
    alignment: tuple[TokenMatch, ...] = ()
    reranking: Reranking | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What is explained.

    Attributes:
        search: the options of the search.
        k: how many passages it asks for.
        source: of the passage, where several sources have its id.
        filter: the filter of the search.
        reranker: reads what was found.
        candidates: how many it reads; raised to ``k`` where smaller.
        ranking: how it orders, and what it keeps.
    """

    search: SearchOptions = DEFAULT_SEARCH
    k: int = 10
    source: str | None = None
    filter: Filter | Mapping[str, Any] | None = None
    reranker: Reranker | None = None
    candidates: int = 50
    ranking: RankingOptions = field(default_factory=RankingOptions)

    def __post_init__(self) -> None:
        check_least("k", self.k, 1)
        check_least("candidates", self.candidates, 1)
        if self.search.mmr_lambda is not None or self.search.offset:
            raise InputError("mmr_lambda and offset are not explained; leave them out")
