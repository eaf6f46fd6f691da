"""From a search's options and encodings to the one request that the engine runs; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from trivec.errors import InputError, InvalidVectorError
from trivec.query import Dbsf, Filter, Fusion, Linear, Prefetch, Rrf, StoreQuery
from trivec.schema import Schema
from trivec.types import ALL_HEADS, FloatArray, Head, QueryText, SearchOptions, SparseVector, Vector

__all__ = [
    "LINEAR_WEIGHTS",
    "EncodedText",
    "SearchPlan",
    "as_texts",
    "choose_arms",
    "plan_search",
    "require_vectors",
    "required_heads",
]

LINEAR_WEIGHTS: Mapping[str, float] = {"dense": 1.0, "sparse": 0.3, "bm25": 0.03, "colbert": 1.0}
"""Default weights of linear fusion: M3's training ensemble (dense + 0.3 sparse + ColBERT); BM25,
whose scores have no upper bound, was set on held-out text (benchmarks/README.md)."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A query text with its vector for every arm; an arm that it has no vector for is absent."""

    text: QueryText
    vectors: Mapping[str, Vector]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """A store query, and what its scores must be divided by (MaxSim is a sum over query rows)."""

    query: StoreQuery
    score_scale: float = 1.0


def as_texts(query: str | QueryText | Sequence[QueryText]) -> tuple[QueryText, ...]:
    """Return the texts of a query.

    Raises:
        InputError: there is none, or one is blank.
    """
    if isinstance(query, str):
        texts: tuple[QueryText, ...] = (QueryText(query),)
    elif isinstance(query, QueryText):
        texts = (query,)
    else:
        texts = tuple(query)
    if not texts or not all(isinstance(text, QueryText) for text in texts):
        raise InputError(f"query={query!r}; give a text, or QueryText objects, at least one")
    if any(not text.text.strip() and not text.vectors for text in texts):
        raise InputError("the query is blank; give it at least one word")
    return texts


def choose_arms(options: SearchOptions, schema: Schema) -> dict[str, float]:
    """Return the arms of a search and their weights.

    Raises:
        InputError: an arm that the collection does not have, or a negative weight.
    """
    linear = options.fusion == "linear"
    if options.arms is None:
        names: list[str] = [arm for arm in schema.vectors if arm != "colbert"]
        arms = {arm: LINEAR_WEIGHTS.get(arm, 1.0) if linear else 1.0 for arm in names}
    elif isinstance(options.arms, Mapping):
        arms = dict(options.arms)
    else:
        names = [options.arms] if isinstance(options.arms, str) else list(options.arms)
        arms = {arm: LINEAR_WEIGHTS.get(arm, 1.0) if linear else 1.0 for arm in names}
    wanted = {*arms, *options.thresholds}
    wanted |= {"colbert"} if options.colbert else set()
    wanted |= {"dense"} if options.mmr_lambda is not None else set()
    if unknown := sorted(wanted - set(schema.vectors)):
        raise InputError(
            f"arms {unknown} are not in this collection, which has {sorted(schema.vectors)}; "
            "leave them out, or index with IndexConfig(arms=...)"
        )
    if negative := {arm: weight for arm, weight in arms.items() if not weight >= 0}:
        raise InputError(f"weights {negative}; they must be 0 or more")
    arms = {arm: weight for arm, weight in arms.items() if weight > 0}
    if not arms:
        raise InputError(f"no arm is left to search; choose from {sorted(schema.vectors)}")
    return arms


def required_heads(arms: Mapping[str, float], options: SearchOptions) -> tuple[Head, ...]:
    """Return the heads that the encoder must compute for a search."""
    needed = set(arms)
    if options.colbert:
        needed.add("colbert")
    if options.mmr_lambda is not None:
        needed.add("dense")
    return tuple(head for head in ALL_HEADS if head in needed)


def require_vectors(text: QueryText, schema: Schema) -> dict[str, Vector]:
    """Return the vectors that the caller gave with a text, checked against the collection's.

    Raises:
        InputError: an arm that the collection does not have.
        InvalidVectorError: a vector that does not fit it.
    """
    for arm, vector in text.vectors.items():
        if arm not in schema.vectors:
            raise InputError(
                f"a vector for the arm {arm!r} was given; this collection has "
                f"{sorted(schema.vectors)}"
            )
        if fault := schema.vectors[arm].fault(vector):
            raise InvalidVectorError(f"the query's {arm} vector {fault}")
    return {arm: vector for arm, vector in text.vectors.items() if len(vector)}


def plan_search(
    texts: Sequence[EncodedText],
    arms: Mapping[str, float],
    options: SearchOptions,
    schema: Schema,
    *,
    k: int,
    filter: Filter | None,
) -> SearchPlan | None:
    """Return the request for one search: a prefetch for each (text x arm), fused at the root.

    None means that no text has a vector for any arm, so that nothing can match.
    """
    limit = k if options.mmr_lambda is None else max(options.mmr_candidates, k + options.offset)
    offset = options.offset if options.mmr_lambda is None else 0
    depth = max(options.prefetch_k, limit + offset)
    prefetches: list[Prefetch] = []
    weights: list[float] = []
    for text in texts:
        for arm, weight in arms.items():
            vector = text.vectors.get(arm)
            if vector is None or (text.text.arms is not None and arm not in text.text.arms):
                continue
            prefetches.append(_prefetch(arm, vector, schema, options, depth))
            weights.append(_scaled(arm, vector, weight * text.text.weight, options))
    if not prefetches:
        return None
    rescoring = cast("FloatArray | None", texts[0].vectors.get("colbert"))
    scale = 1.0
    rescore = None
    if rescoring is not None and options.colbert == "rescore":
        rescore = (schema.vectors["colbert"].name, rescoring)
        scale = float(len(rescoring))
    elif rescoring is not None and options.colbert == "fuse" and "colbert" not in arms:
        fused = _prefetch("colbert", rescoring, schema, options, depth, over_candidates=True)
        weight = LINEAR_WEIGHTS["colbert"] if options.fusion == "linear" else 1.0
        prefetches.append(fused)
        weights.append(_scaled("colbert", rescoring, weight, options))
    elif len(prefetches) == 1 and _matrix_rows(prefetches[0].vector):
        scale = float(_matrix_rows(prefetches[0].vector))
    with_vectors = () if options.mmr_lambda is None else (schema.vectors["dense"].name,)
    fusion = None
    if rescore is None and len(prefetches) > 1:
        fusion = _fusion(options, weights)
    query = StoreQuery(
        tuple(prefetches), limit, fusion, rescore, offset, filter, with_vectors=with_vectors
    )
    return SearchPlan(query, scale)


def _fusion(options: SearchOptions, weights: Sequence[float]) -> Fusion:
    if options.fusion == "rrf":
        return Rrf(options.rrf_k, tuple(weights))
    if options.fusion == "linear":
        return Linear(tuple(weights))
    if len(set(weights)) > 1:
        raise InputError(
            "distribution-based fusion takes no weights; use fusion='rrf' or fusion='linear'"
        )
    return Dbsf()


def _prefetch(
    arm: str,
    vector: Vector,
    schema: Schema,
    options: SearchOptions,
    depth: int,
    *,
    over_candidates: bool = False,
) -> Prefetch:
    threshold = options.thresholds.get(arm)
    rows = _matrix_rows(vector)
    if threshold is not None and rows:
        threshold *= rows
    return Prefetch(schema.vectors[arm].name, vector, depth, threshold, over_candidates)


def _scaled(arm: str, vector: Vector, weight: float, options: SearchOptions) -> float:
    """Turn MaxSim's sum into FlagEmbedding's mean where scores, not ranks, are added up."""
    if arm == "colbert" and options.fusion == "linear":
        return weight / max(1, _matrix_rows(vector))
    return weight


def _matrix_rows(vector: Vector) -> int:
    return 0 if isinstance(vector, SparseVector) or vector.ndim == 1 else len(vector)
