"""Searching: every text encoded in one call, one request per search, results as hits."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from trivec._runtime.checks import check_least, shown
from trivec.arms import BM25, COLBERT, DENSE, heads_of
from trivec.errors import InputError, InvalidVectorError
from trivec.events.watching import SearchWatch
from trivec.fusion import maximal_marginal_relevance
from trivec.index.adaptive import AdaptiveSearch, WeighedList, fused
from trivec.index.collection import NO_HEADS, Binding, listed_ids
from trivec.index.explaining import explained_steps
from trivec.index.parts import engine_parts_steps
from trivec.index.planning import (
    EncodedText,
    SearchPlan,
    as_texts,
    choose_arms,
    lacks_encoding,
    plan_search,
    require_vectors,
    required_arms,
)
from trivec.index.pruning import page_steps
from trivec.index.steps import Steps, compute, read
from trivec.index.tenant_words import Rarity, rarity_steps
from trivec.index.unindexed import warn_of_unindexed
from trivec.query import Filter, Ranking
from trivec.text import clean
from trivec.types import (
    Chunk,
    Encoding,
    FloatArray,
    Hit,
    Hits,
    PointId,
    QueryText,
    SearchOptions,
    StoredPoint,
    Vector,
)

__all__ = ["get_steps", "ranking_steps", "search_steps", "vector_steps", "warn_of_cut_queries"]

logger = logging.getLogger(__name__)

READ_AT_ONCE = 256
"""Ids that are looked up in one request."""


def search_steps(
    binding: Binding,
    queries: Sequence[str | QueryText | Sequence[QueryText]],
    k: int,
    filter: Filter | Mapping[str, Any] | None,
    options: SearchOptions,
    *,
    explains: Callable[[Hit], bool] | None = None,
) -> Steps[list[list[Hit]]]:
    """Run several searches, and tell of them; see :meth:`trivec.HybridIndex.search_batch`.

    Args:
        binding: what is searched.
        queries: what is asked.
        k: how many hits each gets.
        filter: what they must match.
        options: how it is done.
        explains: which hits ``options.explain`` explains; None: all.
    """
    watch = SearchWatch(binding.store, queries, k, options.fusion)
    try:
        results = yield from _searched(
            binding, queries, k, filter, options, explains=explains, watch=watch
        )
    except BaseException as err:
        watch.failed(err)
        raise
    watch.found(results)
    return results


def _searched(
    binding: Binding,
    queries: Sequence[str | QueryText | Sequence[QueryText]],
    k: int,
    filter: Filter | Mapping[str, Any] | None,
    options: SearchOptions,
    *,
    explains: Callable[[Hit], bool] | None,
    watch: SearchWatch,
) -> Steps[list[list[Hit]]]:
    """Run several searches."""
    check_least("k", k, 0)
    searches = [as_texts(query) for query in queries]
    arms = choose_arms(options, binding.schema)
    watch.arms = list(arms)
    explained = list(dict.fromkeys([*arms, *([COLBERT.name] if options.colbert else [])]))
    scope = binding.scope(filter)
    if options.explain:
        warn_of_unindexed(binding, scope)
    if k == 0 or not searches:
        return [Hits() for _ in searches]
    rarity = yield from _rarity_steps(binding, arms)
    watch.laps.lap("words")
    encoded = yield from compute(lambda: _encode(binding, searches, arms, options, rarity))
    watch.laps.lap("encode")
    plans = [
        plan_search(texts, arms, options, binding.schema, k=k, filter=scope) for texts in encoded
    ]
    answers = yield from _found(plans)
    watch.laps.lap("store")
    results: list[list[Hit]] = []
    for texts, plan, found in zip(encoded, plans, answers, strict=True):
        points = _diversified(found.points, texts, binding, options, k)
        cut = any(text.cut for text in texts)
        hits = [
            Hit(binding.codec.decode(point), point.score / found.scale, query_cut=cut)
            for point in points
        ]
        if options.explain:
            chosen = [at for at, hit in enumerate(hits) if explains is None or explains(hit)]
            own = {points[at].id: hits[at] for at in chosen}
            said = yield from explained_steps(binding, own, texts, explained)
            said = yield from _with_parts(said, plan, found, options)
            for at, hit in zip(chosen, said.values(), strict=True):
                hits[at] = hit
        results.append(Hits(hits))
    watch.laps.lap("explain" if options.explain else "store")
    return results


def ranking_steps(
    binding: Binding,
    query: str | QueryText | Sequence[QueryText],
    k: int,
    filter: Filter | Mapping[str, Any] | None,
    options: SearchOptions,
) -> Steps[Ranking]:
    """Return the points that a search finds, with their scores; no passage is read."""
    searches, arms = [as_texts(query)], choose_arms(options, binding.schema)
    rarity = yield from _rarity_steps(binding, arms)
    (texts,) = yield from compute(lambda: _encode(binding, searches, arms, options, rarity))
    scope = binding.scope(filter)
    plan = plan_search(texts, arms, options, binding.schema, k=k, filter=scope)
    if plan is None:
        return []
    requests = plan.requests if isinstance(plan, AdaptiveSearch) else [plan.query]
    answers = yield from read(lambda store: store.rank(requests))
    if isinstance(plan, AdaptiveSearch):
        return fused(plan.weighed(answers))[:k]
    return [(key, score / plan.score_scale) for key, score in answers[0].ranking[:k]]


def _rarity_steps(binding: Binding, arms: Collection[str]) -> Steps[Rarity | None]:
    """Return how rare words are, where a search needs to know and the engine does not say."""
    if BM25.name not in arms:
        return None
    spec = binding.schema.vectors.get(BM25.name)
    return (yield from rarity_steps(spec, binding.rarity, binding.tenant, binding.scope()))


@dataclass(frozen=True, slots=True)
class _Found:
    """What a search found, what its scores are divided by, and the lists that were fused here."""

    points: list[StoredPoint]
    scale: float = 1.0
    lists: Sequence[WeighedList] = ()


def _found(plans: Sequence[SearchPlan | AdaptiveSearch | None]) -> Steps[list[_Found]]:
    """Ask the store everything at once, and once more for the points of lists fused here."""
    queries = [plan.query for plan in plans if isinstance(plan, SearchPlan)]
    lists = [each for plan in plans if isinstance(plan, AdaptiveSearch) for each in plan.requests]
    answers = iter((yield from read(lambda store: store.query(queries))) if queries else [])
    ranked = iter((yield from read(lambda store: store.rank(lists))) if lists else [])
    results: list[_Found] = []
    pages: dict[int, tuple[AdaptiveSearch, Ranking]] = {}
    for at, plan in enumerate(plans):
        if plan is None:
            results.append(_Found([]))
        elif isinstance(plan, SearchPlan):
            results.append(_Found(next(answers), plan.score_scale))
        else:
            weighed = plan.weighed([next(ranked) for _ in plan.lists])
            pages[at] = plan, fused(weighed)[plan.offset : plan.offset + plan.limit]
            results.append(_Found([], lists=weighed))
    points = yield from _read_points(list(pages.values()))
    for at, page in pages.items():
        scored = [_scored(points[key], score) for key, score in page[1] if key in points]
        results[at] = _Found(scored, lists=results[at].lists)
    return results


def _scored(point: StoredPoint, score: float) -> StoredPoint:
    return StoredPoint(point.id, point.payload, point.vectors, score)  # replace() takes thrice that


def _read_points(
    pages: Sequence[tuple[AdaptiveSearch, Ranking]],
) -> Steps[dict[PointId, StoredPoint]]:
    """Return the points of some pages by id; one that was deleted meanwhile is not there."""
    ids = list(dict.fromkeys(key for _, page in pages for key, _ in page))
    if not ids:
        return {}
    names = pages[0][0].with_vectors
    stored = yield from read(lambda store: store.retrieve(ids, with_vectors=names))
    return {point.id: point for point in stored}


def _with_parts(
    hits: Mapping[PointId, Hit],
    plan: SearchPlan | AdaptiveSearch | None,
    found: _Found,
    options: SearchOptions,
) -> Steps[dict[PointId, Hit]]:
    """Give every hit the parts of its score."""
    if not hits:
        return {}
    if isinstance(plan, SearchPlan):
        scores = {key: hit.score for key, hit in hits.items()}
        parts = yield from engine_parts_steps(plan, options.fusion, scores)
    else:
        added = [one.parts(list(hits)) for one in found.lists]
        parts = [tuple(part[key] for part in added) for key in hits]
    return {
        key: replace(hit, parts=own) for (key, hit), own in zip(hits.items(), parts, strict=True)
    }


def vector_steps(
    binding: Binding,
    vector: Sequence[float] | FloatArray,
    k: int,
    filter: Filter | Mapping[str, Any] | None,
    options: SearchOptions,
) -> Steps[list[Hit]]:
    """Search with a dense vector; see :meth:`trivec.HybridIndex.search_by_vector`."""
    options = replace(options, arms=options.arms or (DENSE.name,))
    arms = choose_arms(options, binding.schema)
    if list(arms) != [DENSE.name] or options.colbert:
        raise InputError(f"arms={list(arms)} with a dense vector; the others need the query's text")
    text = QueryText("", vectors={DENSE.name: _as_array(vector)})
    return (yield from search_steps(binding, [text], k, filter, options))[0]


def _as_array(vector: object) -> FloatArray:
    """Return numbers as an array of float32; what it cannot hold is found by the schema's check.

    Raises:
        InvalidVectorError: they are no numbers.
    """
    try:
        array = np.asarray(vector)
    except (TypeError, ValueError) as err:
        raise InvalidVectorError(f"vector={shown(vector)}; allowed: a list of numbers") from err
    if array.dtype.kind not in "fiu":
        raise InvalidVectorError(f"vector={shown(vector)}; allowed: a list of numbers")
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(np.float32, copy=False)


def get_steps(
    binding: Binding, ids: Sequence[str], source: str | None = None
) -> Steps[list[Chunk]]:
    """Read passages by id; see :meth:`trivec.HybridIndex.get`."""
    names = listed_ids(ids)
    narrowed = None if source is None else binding.of_source(source)
    chunks: defaultdict[str | PointId, dict[PointId, Chunk]] = defaultdict(dict)
    for at in range(0, len(names), READ_AT_ONCE):
        scope = binding.scope(binding.of_ids(names[at : at + READ_AT_ONCE]), narrowed)
        for point in (yield from _all_points(scope)):
            chunk = binding.codec.decode(point)
            chunks[str(chunk.id)][point.id] = chunk
            chunks[point.id][point.id] = chunk  # the id that others know it by
    return [
        chunk
        for name in names
        for chunk in sorted(
            {**chunks[clean(name)], **chunks[binding.point_id(name)]}.values(),
            key=lambda chunk: (chunk.source or "", chunk.position),
        )
    ]


def _all_points(scope: Filter | None) -> Steps[list[StoredPoint]]:
    """Read every point that matches."""
    points: list[StoredPoint] = []
    offset: PointId | None = None
    while True:
        page, offset = yield from page_steps(scope, offset)
        points += page
        if offset is None:
            return points


def _encode(
    binding: Binding,
    searches: Sequence[Sequence[QueryText]],
    arms: Mapping[str, float],
    options: SearchOptions,
    rarity: Rarity | None,
) -> list[list[EncodedText]]:
    """Encode the texts of all searches in one call; a text that stands twice is encoded once.

    A text whose vectors the caller gave for every arm that needs the model is not encoded.
    """
    needed = required_arms(arms, options)
    asked = [text for search in searches for text in search]
    texts = list(dict.fromkeys(text.text for text in asked if lacks_encoding(text, needed)))
    encodings = binding.encoder.encode_queries(texts, heads=heads_of(needed)) if texts else []
    encoded = dict(zip(texts, encodings, strict=True))
    warn_of_cut_queries(encodings)

    def vectors(text: QueryText) -> dict[str, Vector]:
        computed = {}
        if text.text.strip():
            computed = binding.query_vectors(text.text, encoded.get(text.text, NO_HEADS))
        if rarity is not None:
            computed = rarity.weighed(computed)
        return {**computed, **require_vectors(text, binding.schema)}

    cut = {text for text, encoding in encoded.items() if encoding.truncated}
    return [
        [EncodedText(text, vectors(text), text.text in cut) for text in search]
        for search in searches
    ]


def warn_of_cut_queries(encodings: Sequence[Encoding]) -> None:
    """Write one warning that counts the queries of which the model read a part."""
    cut = [encoding.tokens for encoding in encodings if encoding.truncated]
    if cut:
        logger.warning(
            "%d of %d queries are longer than the %d tokens that the model reads of one; the rest "
            "of each counts for BM25 alone, and its hits have query_cut=True. Ask in fewer words",
            len(cut),
            len(encodings),
            max(cut),
        )


def _diversified(
    points: list[StoredPoint],
    texts: Sequence[EncodedText],
    binding: Binding,
    options: SearchOptions,
    k: int,
) -> list[StoredPoint]:
    """Choose by maximal marginal relevance over dense vectors, where that is asked for."""
    if options.mmr_lambda is None or not points:
        return points
    name = binding.schema.vectors[DENSE.name].name
    chosen = maximal_marginal_relevance(
        cast("FloatArray", texts[0].vectors[DENSE.name]),
        np.stack([cast("FloatArray", point.vectors[name]) for point in points]),
        lambda_mult=options.mmr_lambda,
        k=k + options.offset,
    )
    return [points[at] for at in chosen[options.offset :]]
