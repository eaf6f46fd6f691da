"""What a state finds: every arm's list, the fused one, the reranked one, and what they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trivec.arms import DENSE
from trivec.encoders import MemoEncoder
from trivec.evaluation import ExplainOptions, Explanation, explain_passage
from trivec.events.watching import Laps
from trivec.index import HybridIndex
from trivec.rerankers import rank
from trivec.rewriting import CorpusVocabulary, FeedbackRewriter, KeywordRewriter, Rewrite, Rewriter
from trivec.serving.explorer.options import ExplorerOptions
from trivec.serving.explorer.state import State
from trivec.types import Hit, QueryText, SearchOptions

__all__ = ["Finder", "Found", "Key", "Ranking", "key_of"]

Key = tuple[str, str | None]
REMEMBERED = 512
"""Questions whose vectors are kept, so that a switch encodes nothing."""


def key_of(hit: Hit) -> Key:
    """Return what identifies a passage on the page."""
    return hit.id, hit.source


@dataclass(frozen=True, slots=True)
class Ranking:
    """A list on the page.

    Attributes:
        name: an arm's, ``fused`` or ``reranked``.
        hits: best first.
        scores: what the order follows.
        places: the ranks of the same passages in another list, to show how they moved.
    """

    name: str
    hits: Sequence[Hit]
    scores: Sequence[float]
    places: Mapping[Key, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        rewrite: the question's other words; None where it was not rewritten.
        texts: what was searched for.
        rankings: the reranked list, where there is one, the fused one, then every arm's.
        seconds: of each stage.
        explanation: of the passage that is opened; None where there is none.
    """

    rewrite: Rewrite | None
    texts: Sequence[QueryText]
    rankings: Sequence[Ranking]
    seconds: Mapping[str, float]
    explanation: Explanation | None = None


class Finder:
    """Searches an index as states say. Safe to use from several threads.

    Args:
        index: what is searched.
        options: what the page can do.
    """

    def __init__(self, index: HybridIndex, options: ExplorerOptions) -> None:
        encoder = index.encoder
        memo = MemoEncoder(encoder, heads=encoder.info.heads, size=REMEMBERED)
        self.index = index.with_encoder(memo)
        self._options = options
        self._rewriters: dict[str, Rewriter] = {}
        if DENSE.name in index.schema.vectors:  # its words are found by meaning
            self._rewriters["corpus"] = FeedbackRewriter(CorpusVocabulary(self.index))
        if options.chat is not None:
            self._rewriters["chat"] = KeywordRewriter(options.chat)

    def rewriter(self, state: State) -> Rewriter | None:
        """Return what rewrites the question."""
        return self._rewriters.get(state.writing)

    def find(self, state: State, conditions: Mapping[str, Any] | None) -> Found:
        """Return what a state finds.

        Raises:
            TrivecError: the search, or what rewrites the question, failed.
        """
        laps = Laps()
        rewriter, rewrite = self.rewriter(state), None
        texts: Sequence[QueryText] = (QueryText(state.question),)
        if rewriter is not None:
            rewrite = rewriter.rewrite(state.question)
            texts = rewrite.query_texts()
            laps.lap("rewrite")
        rankings = self._rankings(state, texts, conditions, laps)
        explanation = None
        if state.opened:
            explanation = self._explained(state, texts, conditions)
            laps.lap("explain")
        return Found(rewrite, texts, rankings, laps.seconds, explanation)

    def _rankings(
        self,
        state: State,
        texts: Sequence[QueryText],
        conditions: Mapping[str, Any] | None,
        laps: Laps,
    ) -> list[Ranking]:
        depth = max(state.k, self._options.candidates) if state.rerank else state.k
        options = state.options()
        found = self.index.search(texts, depth, filter=conditions, options=options, explain=True)
        laps.lap("search")
        rankings = []
        if state.rerank and self._options.reranker is not None:
            rankings.append(self._reranked(state, found))
            laps.lap("rerank")
        places = _places(found)
        fused = found[: state.k]
        rankings.append(Ranking("fused", fused, [hit.score for hit in fused]))
        for arm in state.on if len(state.on) > 1 or state.colbert else ():
            least = {arm: state.least[arm]} if arm in state.least else {}
            alone = SearchOptions(arms=(arm,), prefetch_k=state.depth, thresholds=least)
            hits = self.index.search(texts, state.k, filter=conditions, options=alone)
            rankings.append(Ranking(arm, hits, [hit.score for hit in hits], places))
        laps.lap("arms")
        return rankings

    def _reranked(self, state: State, found: Sequence[Hit]) -> Ranking:
        assert self._options.reranker is not None  # noqa: S101  # the caller looked
        order = rank(
            self._options.reranker,
            state.question,
            [hit.text for hit in found],
            self._options.ranking,
            retrieved=[hit.score for hit in found],
        )[: state.k]
        hits = [found[one.position] for one in order]
        return Ranking("reranked", hits, [one.score for one in order], _places(found))

    def _explained(
        self, state: State, texts: Sequence[QueryText], conditions: Mapping[str, Any] | None
    ) -> Explanation:
        options = ExplainOptions(
            search=state.options(),
            k=state.k,
            source=state.source or None,
            filter=conditions,
            reranker=self._options.reranker if state.rerank else None,
            candidates=self._options.candidates,
            ranking=self._options.ranking,
        )
        return explain_passage(self.index, texts, state.opened, options)


def _places(hits: Sequence[Hit]) -> dict[Key, int]:
    return {key_of(hit): place for place, hit in enumerate(hits, start=1)}
