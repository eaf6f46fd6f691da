"""What every arm says of hits: exact scores, and the tokens and words that matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from trivec.arms import Arm, arms_among
from trivec.encoders.similarity import shows
from trivec.index.collection import Binding
from trivec.index.planning import EncodedText, rows_of
from trivec.index.steps import Steps, read
from trivec.query import Filter, Prefetch, StoreQuery
from trivec.types import Hit, MatchedTerm, PointId, SparseVector, StoredPoint

__all__ = ["explained_steps"]


def explained_steps(
    binding: Binding,
    hits: Mapping[PointId, Hit],
    texts: Sequence[EncodedText],
    arms: Sequence[str],
) -> Steps[dict[PointId, Hit]]:
    """Give every hit the exact score of each arm for its first text, and the terms they share.

    Args:
        binding: what was searched.
        hits: by their points.
        texts: what was asked.
        arms: whose scores are wanted.
    """
    if not hits:
        return {}
    ids = list(hits)
    asked = {arm: text for arm in arms if (text := _first_for(arm, texts)) is not None}
    scope = binding.scope(binding.of_points(ids))
    requests = [
        _exact(binding, arm, text.vectors[arm], len(ids), scope) for arm, text in asked.items()
    ]
    answers = yield from read(lambda store: store.query(requests))
    scores: dict[PointId, dict[str, float]] = {key: {} for key in ids}
    for (arm, text), points in zip(asked.items(), answers, strict=True):
        for point in points:
            scores[point.id][arm] = point.score / rows_of(text.vectors[arm])
    matches = yield from _matches(ids, asked, binding)
    return {key: replace(hit, arms=scores[key], matches=matches[key]) for key, hit in hits.items()}


def _first_for(arm: str, texts: Sequence[EncodedText]) -> EncodedText | None:
    """Return the first text that an arm looks for."""
    return next(
        (
            text
            for text in texts
            if arm in text.vectors and (text.text.arms is None or arm in text.text.arms)
        ),
        None,
    )


def _exact(binding: Binding, arm: str, vector: Any, limit: int, scope: Filter | None) -> StoreQuery:
    prefetch = Prefetch(binding.schema.vectors[arm].name, vector, limit)
    return StoreQuery((prefetch,), limit, filter=scope, exact=True)


def _matches(
    ids: Sequence[PointId], asked: Mapping[str, EncodedText], binding: Binding
) -> Steps[dict[PointId, tuple[MatchedTerm, ...]]]:
    """Return the tokens and words that the query shares with each point, by the lexical arms."""
    lexical = [arm for arm in arms_among(list(asked)) if arm.lexical]
    names = [binding.schema.vectors[arm.name].name for arm in lexical]
    stored = yield from read(lambda store: store.retrieve(ids, with_vectors=names))
    matched: dict[PointId, list[MatchedTerm]] = {key: [] for key in ids}
    for arm, name in zip(lexical, names, strict=True):
        text = asked[arm.name]
        query = cast("SparseVector", text.vectors[arm.name])
        shared = {
            point.id: _products(query, cast("SparseVector", point.vectors[name]))
            for point in stored
            if name in point.vectors
        }
        factors: dict[int, float] = {}
        if binding.schema.vectors[arm.name].idf:
            factors = yield from _inverse_frequencies(binding, shared, stored, name)
        terms = _names(arm, query, text.text.text, binding)
        for key, products in shared.items():
            for index, product in products.items():
                if not shows(terms[index]):
                    continue
                score = product * factors.get(index, 1.0)
                matched[key].append(MatchedTerm(arm.name, terms[index], score))
    return {
        key: tuple(sorted(terms, key=lambda term: term.score, reverse=True))
        for key, terms in matched.items()
    }


def _products(query: SparseVector, passage: SparseVector) -> dict[int, float]:
    shared, mine, theirs = np.intersect1d(
        query.indices, passage.indices, assume_unique=True, return_indices=True
    )
    products = query.values[mine] * passage.values[theirs]
    return dict(zip(shared.tolist(), products.tolist(), strict=True))


def _names(arm: Arm, query: SparseVector, text: str, binding: Binding) -> dict[int, str]:
    if arm.head is None and binding.analyzer is not None:
        return binding.analyzer.decode(text)
    indices = query.indices.tolist()
    return dict(zip(indices, binding.encoder.decode_tokens(indices), strict=True))


def _inverse_frequencies(
    binding: Binding,
    shared: Mapping[PointId, Mapping[int, float]],
    stored: Sequence[StoredPoint],
    name: str,
) -> Steps[dict[int, float]]:
    """Ask the engine for the IDF of each shared term, by a query of that term alone."""
    weights = {point.id: point.vectors.get(name) for point in stored}
    witness = {index: key for key, products in shared.items() for index in products}
    queries = [
        StoreQuery(
            (Prefetch(name, SparseVector.from_mapping({index: 1.0}), 1),),
            1,
            filter=binding.scope(binding.of_points([key])),
            exact=True,
        )
        for index, key in witness.items()
    ]
    answers = (yield from read(lambda store: store.query(queries))) if queries else []
    factors = {}
    for (index, key), points in zip(witness.items(), answers, strict=True):
        weight = cast("SparseVector", weights[key]).to_mapping()[index]
        factors[index] = points[0].score / weight if points else 1.0
    return factors
