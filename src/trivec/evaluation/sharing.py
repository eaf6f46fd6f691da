"""One lookup for all systems: what several ways to search ask alike is asked of the store once.

A run asks every question in a dozen ways. All hybrids want the same candidates of the same arms,
and both uses of ColBERT vectors want the same scores. Here a block of questions is asked at once,
and each list is looked up once; fusing and ordering follow :mod:`trivec.fusion`, as the engines do.
Whatever this module does not know how to derive goes to the store as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from trivec._runtime.typed import unchecked
from trivec.bm25 import Bm25Analyzer
from trivec.coverage import PASSAGES
from trivec.evaluation.rows import Rescoring, Rows
from trivec.fusion import Linear, Rrf, fuse
from trivec.index import HybridIndex, IndexConfig
from trivec.index.hybrid import binding_of
from trivec.payloads.trivec import Codec
from trivec.protocols import Store
from trivec.query import Prefetch, RankedList, Ranking, StoreQuery
from trivec.schema import Schema
from trivec.types import Chunk, FloatArray, PointId, SparseVector, StoredPoint, Vector

__all__ = ["SharedStore", "sharing"]

MOST_PAYLOADS = 20_000
MOST_QUERIES = 4096
"""A few blocks of questions, rewritten ones too."""


def sharing(index: HybridIndex, depth: int) -> tuple[HybridIndex, SharedStore]:
    """Return an index over the same points that looks every list up once, and its store.

    Args:
        index: the index; it must not be written to meanwhile.
        depth: the most candidates that a search asks of an arm.
    """
    store = SharedStore(index.store, index.schema, depth)
    binding, analyzer = binding_of(index), None
    if binding.analyzer is not None:
        analyzer = cast("Bm25Analyzer", _RememberingAnalyzer(binding.analyzer))
    codec = cast("Codec", _RememberingCodec(index.codec))
    binding = replace(binding, store=cast("Store", store), codec=codec, analyzer=analyzer)
    return HybridIndex(binding, IndexConfig()), store


class _RememberingAnalyzer:
    """An analyser that reads each query once; every system asks the same."""

    def __init__(self, analyzer: Bm25Analyzer) -> None:
        self._analyzer = analyzer
        self.query = lru_cache(MOST_QUERIES)(analyzer.query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._analyzer, name)


class _RememberingCodec:
    """A payload layout that reads each point once; many questions find the same."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._chunks: dict[PointId, Chunk] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def decode(self, point: StoredPoint) -> Chunk:
        """Return a point's passage."""
        chunk = self._chunks.get(point.id)
        if chunk is None:
            if len(self._chunks) >= MOST_PAYLOADS:
                self._chunks.clear()
            chunk = self._chunks[point.id] = self._codec.decode(point)
        return chunk


@dataclass(slots=True)
class _Wanted:
    """A search, and what it is made of.

    Attributes:
        query: what is asked.
        most: how many results there are at most.
        derived: whether it is put together here.
        parts: the lookups, with what tells them apart; the search itself where it is one.
        lists: what the lookups found, by the object of the prefetch.
        rescoring: the scores of a multivector, where there is one.
        ranking: the result.
    """

    query: StoreQuery
    most: int
    derived: bool
    parts: list[tuple[Hashable, StoreQuery]]
    lists: dict[int, Ranking] = field(default_factory=dict)
    rescoring: Rescoring | None = None
    ranking: Ranking = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether the store's answer is the result as it is."""
        return not self.derived and self.parts[0][1] is self.query

    def candidates(self) -> list[PointId]:
        """Return what the lookups found, each point once."""
        return list(dict.fromkeys(key for found in self.lists.values() for key, _ in found))


class SharedStore:
    """A store for reading; what is not a search goes to the real one.

    Args:
        store: the real one.
        schema: which of its vectors are sparse and which are of many rows.
        depth: how deep lists of sparse vectors are looked up. Their lookup is exact, so that a
            shorter list is the beginning of a longer one.
    """

    def __init__(self, store: Store, schema: Schema, depth: int) -> None:
        self._store = store
        self._depth = depth
        self._kinds = {spec.name: spec.kind for spec in schema.vectors.values()}
        self._lists: dict[Hashable, RankedList] = {}
        self._answers: dict[Hashable, list[StoredPoint]] = {}
        self._payloads: dict[PointId, Mapping[str, Any]] = {}
        self._rows = Rows(store)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def forget(self) -> None:
        """Forget the lists of the questions so far; passages are kept, as far as they fit."""
        self._lists.clear()
        self._answers.clear()
        self._rows.forget()
        if len(self._payloads) > MOST_PAYLOADS:
            self._payloads.clear()

    def query(self, queries: Sequence[StoreQuery]) -> list[list[StoredPoint]]:
        """Run several searches; one list of results for each, best first."""
        wanted = [self._wanted(query, query.limit) for query in queries]
        self._rank(wanted)
        self._read([key for one in wanted for key, _ in one.ranking])
        return [self._points(one) for one in wanted]

    def rank(self, queries: Sequence[StoreQuery]) -> list[RankedList]:
        """Return the lists of several searches, with the evidence that each asks for."""
        wanted = [self._wanted(query, query.depth) for query in queries]
        if any(one.whole for one in wanted):
            return self._store.rank(queries)
        self._rank(wanted)
        return [RankedList(one.ranking, self._evidence(one)) for one in wanted]

    def _rank(self, wanted: Sequence[_Wanted]) -> None:
        """Look up what is missing, and put the rankings together."""
        self._look_up(wanted)
        for one in wanted:
            if one.derived:
                self._gather(one)
        self._rows.score([one.rescoring for one in wanted if one.rescoring is not None])
        for one in wanted:
            if one.derived:
                one.ranking = self._derived(one)
            elif not one.whole:
                one.ranking = self._lists[one.parts[0][0]].ranking[: one.most]

    def _evidence(self, wanted: _Wanted) -> list[StoredPoint]:
        if not wanted.query.evidence:
            return []
        return self._lists[wanted.parts[0][0]].evidence[: wanted.query.evidence]

    def retrieve(
        self, ids: Sequence[PointId], *, with_vectors: Sequence[str] = ()
    ) -> list[StoredPoint]:
        """Return the points that exist, in no promised order."""
        if with_vectors:
            return self._store.retrieve(ids, with_vectors=with_vectors)
        self._read(ids)
        return [StoredPoint(key, self._payloads[key]) for key in ids if key in self._payloads]

    def _derives(self, query: StoreQuery) -> bool:
        """Say whether a search is more than one lookup, and one that is put together here."""
        vectors = query.with_vectors and not query.evidence
        if query.offset or vectors or isinstance(query.fusion, Linear):
            return False
        rows = [one for one in query.prefetches if self._is_of_rows(one.using)]
        if query.rescore is not None:
            return not rows and self._rows.hold(query.rescore[0])
        if not rows:
            return query.fusion is not None
        everywhere = query.filter is None
        return (
            len(rows) == 1
            and not isinstance(query.fusion, Rrf)  # ranks of equal scores are the engine's
            and rows[0].threshold is None
            and (rows[0].over_candidates or everywhere)
            and self._rows.hold(rows[0].using)
        )

    def _is_of_rows(self, name: str) -> bool:
        return self._kinds.get(name) == "multivector"

    def _wanted(self, query: StoreQuery, most: int) -> _Wanted:
        if not self._derives(query):
            part = self._single(query, most)
            return _Wanted(query, most, derived=False, parts=[(_key(part), part)])
        parts = [
            self._list(replace(query, fusion=None, rescore=None), one)
            for one in query.prefetches
            if not self._is_of_rows(one.using)
        ]
        return _Wanted(query, most, derived=True, parts=[(_key(part), part) for part in parts])

    def _single(self, query: StoreQuery, most: int) -> StoreQuery:
        """Return what is asked of the store for a search that is one lookup, or is left to it."""
        plain = len(query.prefetches) == 1 and query.fusion is None and query.rescore is None
        if not plain or query.offset or (query.with_vectors and not query.evidence):
            return query
        return self._list(query, replace(query.prefetches[0], limit=most))

    def _list(self, query: StoreQuery, prefetch: Prefetch) -> StoreQuery:
        """Return the lookup of a list; every sparse one brings the evidence that some ask for."""
        lexical = self._kinds.get(prefetch.using) == "sparse"
        if lexical:
            prefetch = replace(prefetch, limit=max(prefetch.limit, self._depth))
        return replace(
            query,
            prefetches=(prefetch,),
            limit=1,
            with_vectors=(prefetch.using,) if lexical else (),
            evidence=PASSAGES if lexical else 0,
        )

    def _look_up(self, wanted: Sequence[_Wanted]) -> None:
        """Ask the store for what no search asked before: lists, and searches that are its own."""
        lists: dict[Hashable, StoreQuery] = {}
        whole: dict[Hashable, StoreQuery] = {}
        for one in wanted:
            (whole if one.whole else lists).update(one.parts)
        lists = {key: part for key, part in lists.items() if key not in self._lists}
        whole = {key: part for key, part in whole.items() if key not in self._answers}
        if lists:
            self._lists.update(zip(lists, self._store.rank(list(lists.values())), strict=True))
        if whole:
            self._answers.update(zip(whole, self._store.query(list(whole.values())), strict=True))

    def _gather(self, wanted: _Wanted) -> None:
        """Take the lists of a search from what was looked up, and say whom a multivector scores."""
        keys = iter(key for key, _ in wanted.parts)
        for one in wanted.query.prefetches:
            if not self._is_of_rows(one.using):
                wanted.lists[id(one)] = self._lists[next(keys)].ranking[: one.limit]
        if wanted.query.rescore is not None:
            using, vector = wanted.query.rescore
            wanted.rescoring = Rescoring(using, vector, wanted.candidates())
        for one in wanted.query.prefetches:
            if self._is_of_rows(one.using):
                among = wanted.candidates() if one.over_candidates else self._rows.ids
                wanted.rescoring = Rescoring(one.using, cast("FloatArray", one.vector), among)

    def _derived(self, wanted: _Wanted) -> Ranking:
        query, rescoring = wanted.query, wanted.rescoring
        if query.fusion is None and rescoring is not None:
            return rescoring.ranking[: wanted.most]
        lists = [
            wanted.lists[id(one)]
            if rescoring is None or not self._is_of_rows(one.using)
            else rescoring.ranking[: one.limit]
            for one in query.prefetches
        ]
        fused = lists[0] if query.fusion is None else unchecked(fuse)(query.fusion, lists)
        return fused[: wanted.most]

    def _points(self, wanted: _Wanted) -> list[StoredPoint]:
        if wanted.whole:
            return self._answers[wanted.parts[0][0]]
        return [
            StoredPoint(key, self._payloads[key], score=score)
            for key, score in wanted.ranking
            if key in self._payloads
        ]

    def _read(self, ids: Sequence[PointId]) -> None:
        """Read the payloads of points that were not read yet."""
        missing = [key for key in dict.fromkeys(ids) if key not in self._payloads]
        if missing:
            for point in self._store.retrieve(missing):
                self._payloads[point.id] = point.payload


def _key(query: StoreQuery) -> Hashable:
    """Return what tells one request from another."""
    return (
        tuple(
            (one.using, _bytes(one.vector), one.limit, one.threshold, one.over_candidates)
            for one in query.prefetches
        ),
        query.fusion,
        None if query.rescore is None else (query.rescore[0], _bytes(query.rescore[1])),
        (query.limit, query.offset, query.with_vectors, query.exact, query.evidence),
        repr(query.filter),
    )


def _bytes(vector: Vector) -> Hashable:
    if isinstance(vector, SparseVector):
        return vector.indices.tobytes(), vector.values.tobytes()
    return vector.tobytes()
