"""Why a passage stands where it stands, or why it is missing: every arm, the fusion, the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trivec.arms import COLBERT
from trivec.encoders import MemoEncoder
from trivec.errors import InputError
from trivec.evaluation.alignment import alignment
from trivec.evaluation.explanations import ArmAccount, ExplainOptions, Explanation, Reranking
from trivec.events.watching import as_one_search
from trivec.fusion import FUSIONS
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.index.performing import run
from trivec.index.planning import as_texts
from trivec.index.searching import ranking_steps, search_steps
from trivec.query import Filter, Ranking
from trivec.rerankers import rank
from trivec.types import Chunk, Hit, PointId, QueryText, SearchOptions

__all__ = ["explain_passage"]

DEEP = 1000
"""How far down an arm's list a passage is looked for."""


def explain_passage(
    index: HybridIndex,
    query: str | QueryText | Sequence[QueryText],
    id: str | None = None,  # noqa: A002  # the index's own word
    options: ExplainOptions | None = None,
) -> Explanation:
    """Explain where a passage stands for a question, and why; also one that was not found.

    The parts of the arms add up to the fused score, the terms of a lexical arm with ``rest`` to
    its score, and the mean of the alignment is ColBERT's.

    Args:
        index: where the passage is.
        query: the question, or a rewritten one with its texts, as a search takes it.
        id: of the passage; None is the best one.
        options: how the search is carried out.

    Raises:
        InputError: a blank question, or an id that several sources have.

    Example:
        >>> explain_passage(index, "which fruit is sour?", "lemon").reason  # doctest: +SKIP
        'it is number 12 of the fused list, and 10 were asked for'
    """
    options = options or ExplainOptions()
    with as_one_search():  # it asks in many ways, for nobody's answer
        return _Explaining(index, query, options).of(id)


class _Explaining:
    def __init__(
        self,
        index: HybridIndex,
        query: str | QueryText | Sequence[QueryText],
        options: ExplainOptions,
    ) -> None:
        memo = MemoEncoder(index.encoder, heads=index.encoder.info.heads, size=64)
        self.index = index.with_encoder(memo)
        self.binding = binding_of(self.index)
        self.texts = as_texts(query)
        self.question = self.texts[0].text
        self.options = options
        self.weights = index.arms(options.search)
        self.depth = max(options.search.prefetch_k, options.k)

    def of(self, identity: str | None) -> Explanation:
        # the search itself: of equal scores the engine may choose others where fewer are asked for
        given = self._search(self.options.k, self.options.search)
        chunk = self._chunk(identity, given)
        if chunk is None:
            named = "nothing was found" if identity is None else "the index has no such passage"
            return Explanation(self.question, identity or "", "", None, None, named)
        shown = _place(chunk, given)
        found = self._explaining(chunk)
        at = _place(chunk, found)
        exact, lists = self._exact(chunk) if at is None else found[at], self._lists()
        parts = {} if at is None else _parts(found[at])
        arms = tuple(
            self._account(arm, chunk, ranking, exact, parts) for arm, ranking in lists.items()
        )
        reranking = self._reranking(chunk, found)
        return Explanation(
            self.question,
            str(chunk.id),
            chunk.text,
            self._final_rank(shown, reranking),
            None if at is None else found[at].score,
            self._reason(chunk, shown, at, arms, reranking),
            self._fusion(),
            arms,
            alignment(self.index, self.question, chunk),
            reranking,
        )

    def _final_rank(self, shown: int | None, reranking: Reranking | None) -> int | None:
        """Return the rank in what is given, after the reranker where there is one."""
        if self.options.reranker is None:
            return None if shown is None else shown + 1
        return reranking.after if reranking is not None and reranking.kept else None

    def _search(self, k: int, options: SearchOptions) -> list[Hit]:
        scope = self.binding.scope(self.options.filter)
        return self.index.search(self.texts, k, filter=scope, options=options)

    def _explaining(self, chunk: Chunk) -> list[Hit]:
        """Return all candidates in order; the passage alone with the parts of its score."""
        steps = search_steps(
            self.binding,
            [self.texts],
            self.depth,
            self.options.filter,
            replace(self.options.search, explain=True),
            explains=lambda hit: _key(hit.chunk) == _key(chunk),
        )
        return run(steps, self.binding.store)[0]

    def _ranking(self, k: int, options: SearchOptions, scope: Filter | None = None) -> Ranking:
        """Return a list of points; their passages are not read."""
        joined = self.binding.scope(self.options.filter, scope)
        steps = ranking_steps(self.binding, self.texts, k, joined, options)
        return run(steps, self.binding.store)

    def _chunk(self, identity: str | None, found: Sequence[Hit]) -> Chunk | None:
        if identity is None:
            return found[0].chunk if found else None
        chunks = self.index.get([identity], source=self.options.source)
        if len(chunks) > 1:
            sources = sorted(str(chunk.source) for chunk in chunks)
            raise InputError(
                f"the id {identity!r} is that of {len(chunks)} passages, of the sources {sources}; "
                "say which with ExplainOptions(source=...)"
            )
        return chunks[0] if chunks else None

    def _only(self, chunk: Chunk) -> Filter:
        return self.binding.of_points([self.binding.point_of(chunk)])

    def _exact(self, chunk: Chunk) -> Hit | None:
        """Return the passage with every arm's exact score, whatever the filter and thresholds."""
        options = replace(self.options.search, explain=True, thresholds={})
        hits = self.index.search(self.texts, 1, filter=self._only(chunk), options=options)
        return hits[0] if hits else None

    def _lists(self) -> dict[str, Ranking]:
        """Return each arm's list; that of a ColBERT which is fused is over the candidates."""
        search = self.options.search
        lists = {arm: self._list(arm, self.depth) for arm in self.weights}
        if search.colbert is not None and COLBERT.name not in lists:
            points = {key for ranking in lists.values() for key, _ in ranking[: self.depth]}
            if points:
                over = self.binding.of_points(sorted(points, key=str))
                options = SearchOptions(arms=(COLBERT.name,), prefetch_k=len(points))
                lists[COLBERT.name] = self._ranking(len(points), options, over)
        return lists

    def _list(self, arm: str, depth: int) -> Ranking:
        return self._ranking(depth, SearchOptions(arms=(arm,), prefetch_k=depth))

    def _candidates(self, arm: str, ranking: Ranking) -> Ranking:
        """Return the part of an arm's list that is fused."""
        over_candidates = arm == COLBERT.name and arm not in self.weights
        least = self.options.search.thresholds.get(arm)
        taken = ranking if over_candidates else ranking[: self.depth]
        return [(key, score) for key, score in taken if least is None or score >= least]

    def _account(
        self,
        arm: str,
        chunk: Chunk,
        ranking: Ranking,
        exact: Hit | None,
        parts: Mapping[str, tuple[float, float | None]],
    ) -> ArmAccount:
        point = self.binding.point_of(chunk)
        at = _rank(point, ranking)
        if at is None and arm in self.weights and self.depth < DEEP:
            at = _rank(point, self._list(arm, DEEP))
        score = None if exact is None else exact.arms.get(arm)
        terms = tuple(one for one in (exact.matches if exact else ()) if one.arm == arm)
        part, weight = parts.get(arm, (None, None))
        return ArmAccount(
            arm,
            at,
            score,
            _rank(point, self._candidates(arm, ranking)) is not None,
            part,
            weight,
            terms,
            (score or 0.0) - sum(one.score for one in terms) if terms else 0.0,
        )

    def _reason(
        self,
        chunk: Chunk,
        shown: int | None,
        at: int | None,
        arms: Sequence[ArmAccount],
        reranking: Reranking | None,
    ) -> str:
        k = self.options.k
        if at is not None and self.options.reranker is not None:
            return self._reranked_reason(at, reranking)
        if shown is not None:
            return f"it is number {shown + 1} of {k}"
        if at is not None:
            place = max(at, k) + 1
            return f"it is number {place} of the fused list, and {k} were asked for"
        return self._why_no_candidate(chunk, arms)

    def _why_no_candidate(self, chunk: Chunk, arms: Sequence[ArmAccount]) -> str:
        if not self.index.count(self.binding.scope(self.options.filter, self._only(chunk))):
            return "the filter leaves it out"
        if any(one.taken for one in arms):
            return f"it is a candidate, but not among the first {self.depth} of the fused list"
        below = [
            f"{one.arm} scores it {one.score:.4g}, below the threshold of {least:g}"
            for one in arms
            if (least := self.options.search.thresholds.get(one.arm)) is not None
            and one.score is not None
            and one.score < least
        ]
        if below:
            return "; ".join(below)
        ranks = ", ".join(f"{one.arm} {_rank_text(one)}" for one in arms)
        missed = f"no arm has it among its first {self.depth}: {ranks}"
        reachable = any(one.score is not None for one in arms)
        return f"{missed}; raise prefetch_k to reach it" if reachable else missed

    def _reranked_reason(self, at: int, reranking: Reranking | None) -> str:
        if reranking is None:
            read = max(self.options.candidates, self.options.k)
            return f"the reranker reads the first {read}, and it is number {at + 1}"
        moved = f"the reranker puts it from {reranking.before} to {reranking.after}"
        least = self.options.ranking.threshold
        if least is not None and reranking.score < least:
            return f"{moved}, and scores it {reranking.score:.4g}, below the threshold of {least:g}"
        most = self._kept()
        return f"{moved} of {most}" if reranking.kept else f"{moved}, and {most} are kept"

    def _kept(self) -> int:
        """Return how many the reranker keeps."""
        return min(self.options.ranking.top_n or self.options.k, self.options.k)

    def _fusion(self) -> str:
        search = self.options.search
        if search.colbert == "rescore":
            return "ColBERT orders the candidates"
        return search.fusion if len(self.weights) > 1 or search.colbert else "a single arm"

    def _reranking(self, chunk: Chunk, found: Sequence[Hit]) -> Reranking | None:
        at = _place(chunk, found)
        read = found[: max(self.options.candidates, self.options.k)]
        if self.options.reranker is None or at is None or at >= len(read):
            return None
        least = self.options.ranking.threshold
        options = replace(self.options.ranking, top_n=None, threshold=None)
        order = rank(
            self.options.reranker,
            self.question,
            [hit.text for hit in read],
            options,
            retrieved=[hit.score for hit in read],
        )
        after = next(place for place, one in enumerate(order) if one.position == at)
        score = order[after].score
        kept = after < self._kept() and (least is None or score >= least)
        return Reranking(at + 1, after + 1, score, kept)


def _parts(hit: Hit) -> dict[str, tuple[float, float | None]]:
    """Return what each arm added to the score of a hit, and its weight, where it has one."""
    parts: dict[str, tuple[float, float | None]] = {}
    for one in hit.parts:
        weighted = one.fusion is None or FUSIONS[one.fusion].weighted
        added, weight = parts.get(one.arm, (0.0, 0.0))
        parts[one.arm] = (
            added + one.score,
            (weight or 0.0) + one.weight if weighted else None,
        )
    return parts


def _key(chunk: Chunk) -> tuple[str, str | None]:
    return str(chunk.id), chunk.source


def _place(chunk: Chunk, hits: Sequence[Hit]) -> int | None:
    return next((at for at, hit in enumerate(hits) if _key(hit.chunk) == _key(chunk)), None)


def _rank(point: PointId, ranking: Ranking) -> int | None:
    return next((at for at, (key, _) in enumerate(ranking, start=1) if key == point), None)


def _rank_text(account: ArmAccount) -> str:
    if account.score is None:
        return "does not match it"
    return f"beyond {DEEP}" if account.rank is None else str(account.rank)
