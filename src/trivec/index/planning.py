"""From a search's options and encodings to the requests that the engine runs; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from trivec._runtime.checks import MOST, shown
from trivec._runtime.typed import unchecked
from trivec.arms import COLBERT, DENSE, arm_named
from trivec.errors import InputError, InvalidVectorError
from trivec.fusion import FUSIONS, Fusion
from trivec.index.adaptive import AdaptiveSearch, FusedList
from trivec.query import Filter, Prefetch, StoreQuery
from trivec.schema import Schema
from trivec.types import FloatArray, QueryText, SearchOptions, SparseVector, Vector

__all__ = [
    "EncodedText",
    "SearchPlan",
    "as_texts",
    "choose_arms",
    "lacks_encoding",
    "plan_search",
    "require_vectors",
    "required_arms",
    "rows_of",
]

_arm = unchecked(arm_named)  # asked for every text of every search


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A query text with its vector for every arm; an arm that it has no vector for is absent.

    Attributes:
        text: as it was given.
        vectors: by arm.
        cut: whether the text was longer than the model reads.
    """

    text: QueryText
    vectors: Mapping[str, Vector]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """A store query, and what its scores must be divided by (MaxSim is a sum over query rows).

    Attributes:
        query: what the store is asked.
        score_scale: what its scores are divided by.
        lists: what its prefetches look up.
    """

    query: StoreQuery
    score_scale: float = 1.0
    lists: tuple[FusedList, ...] = ()


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
    if not texts:
        raise InputError(f"query={shown(query)}; give a text, or QueryText objects, at least one")
    if any(not text.text.strip() and not text.vectors for text in texts):
        raise InputError("the query is blank; give it at least one word")
    return texts


def choose_arms(options: SearchOptions, schema: Schema) -> dict[str, float]:
    """Return the arms of a search and their weights.

    Raises:
        InputError: an arm that the collection does not have, or a negative weight.
    """
    names = _named_arms(options, schema)
    wanted = {*required_arms(names, options), *options.thresholds}
    if unknown := sorted(wanted - set(schema.vectors)):
        raise InputError(
            f"arms {unknown} are not in this collection, which has {sorted(schema.vectors)}; "
            "leave them out, or index with IndexConfig(arms=...)"
        )
    given = options.arms if isinstance(options.arms, Mapping) else {}
    weights = {name: given.get(name, _default_weight(name, options)) for name in names}
    if negative := {arm: weight for arm, weight in weights.items() if not weight >= 0}:
        raise InputError(f"weights {negative}; they must be 0 or more")
    arms = {arm: weight for arm, weight in weights.items() if weight > 0}
    if not arms:
        raise InputError(f"no arm is left to search; choose from {sorted(schema.vectors)}")
    return arms


def _named_arms(options: SearchOptions, schema: Schema) -> list[str]:
    if options.arms is None:
        return [name for name in schema.vectors if arm_named(name).default]
    return [options.arms] if isinstance(options.arms, str) else list(options.arms)


def _default_weight(arm: str, options: SearchOptions) -> float:
    return arm_named(arm).linear_weight if FUSIONS[options.fusion].adds_scores else 1.0


def required_arms(arms: Iterable[str], options: SearchOptions) -> list[str]:
    """Return the arms whose query vector a search needs; rescoring and MMR need one each."""
    names = list(arms)
    names += [COLBERT.name] if options.colbert else []
    names += [DENSE.name] if options.mmr_lambda is not None else []
    return list(dict.fromkeys(names))


def lacks_encoding(text: QueryText, arms: Iterable[str]) -> bool:
    """Say whether the encoder must read a text, because the caller gave too few vectors with it."""
    missing = [arm for arm in arms if arm not in text.vectors]
    return any(_arm(name).head is not None for name in missing) and bool(text.text.strip())


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
) -> SearchPlan | AdaptiveSearch | None:
    """Return the requests of one search: a list for each (text x arm), and how they are fused.

    None means that no text has a vector for any arm, so that nothing can match.
    """
    limit = k if options.mmr_lambda is None else max(options.mmr_candidates, k + options.offset)
    offset = options.offset if options.mmr_lambda is None else 0
    with_vectors = () if options.mmr_lambda is None else (schema.vectors[DENSE.name].name,)
    depth = min(max(options.prefetch_k, limit + offset), MOST)
    lists = _lists(texts, arms, options, schema, depth)
    if not lists:
        return None
    rescoring = cast("FloatArray | None", texts[0].vectors.get(COLBERT.name))
    rescore = None
    if rescoring is not None and options.colbert == "rescore":
        rescore = (schema.vectors[COLBERT.name].name, rescoring)
    elif rescoring is not None and options.colbert == "fuse" and COLBERT.name not in arms:
        over = _prefetch(COLBERT.name, rescoring, schema, options, depth, over_candidates=True)
        weight = _default_weight(COLBERT.name, options)
        lists.append(FusedList(COLBERT.name, texts[0].text.text, over, weight))
    is_fused = rescore is None and len(lists) > 1
    if is_fused and FUSIONS[options.fusion].request is None:
        return AdaptiveSearch(tuple(lists), limit, offset, filter, with_vectors)
    query = StoreQuery(
        tuple(each.prefetch for each in lists),
        limit,
        _fusion(options, lists) if is_fused else None,
        rescore,
        offset,
        filter,
        with_vectors=with_vectors,
    )
    if is_fused:
        return SearchPlan(query, lists=tuple(lists))
    rows = rows_of(lists[0].prefetch.vector if rescore is None else rescore[1])
    return SearchPlan(query, float(rows), tuple(lists))


def _lists(
    texts: Sequence[EncodedText],
    arms: Mapping[str, float],
    options: SearchOptions,
    schema: Schema,
    depth: int,
) -> list[FusedList]:
    """Return a list for each text and arm that has a vector for it."""
    return [
        FusedList(
            arm,
            text.text.text,
            _prefetch(arm, vector, schema, options, depth),
            weight * text.text.weight,
            schema.vectors[arm].idf,
        )
        for text in texts
        for arm, weight in arms.items()
        if (vector := text.vectors.get(arm)) is not None
        and (text.text.arms is None or arm in text.text.arms)
    ]


def _fusion(options: SearchOptions, lists: Sequence[FusedList]) -> Fusion | None:
    method = FUSIONS[options.fusion]
    weights = tuple(_scaled(each.prefetch.vector, each.weight, options) for each in lists)
    if not method.weighted and len(set(weights)) > 1:
        weighted = [f"fusion={name!r}" for name, other in FUSIONS.items() if other.weighted]
        raise InputError(f"fusion={options.fusion!r} takes no weights; use {' or '.join(weighted)}")
    return None if method.request is None else method.request(options.rrf_k, weights)


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
    if threshold is not None:
        threshold *= rows_of(vector)
    return Prefetch(schema.vectors[arm].name, vector, depth, threshold, over_candidates)


def _scaled(vector: Vector, weight: float, options: SearchOptions) -> float:
    """Turn MaxSim's sum into FlagEmbedding's mean where scores, not ranks, are added up."""
    return weight / rows_of(vector) if FUSIONS[options.fusion].adds_scores else weight


def rows_of(vector: Vector) -> int:
    """Return what an arm's score is divided by: MaxSim is a sum over a query's rows."""
    return 1 if isinstance(vector, SparseVector) or vector.ndim == 1 else len(vector)
