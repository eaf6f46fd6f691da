"""Searching passages, their questions and users' verdicts with one encoding of the query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

from trivec.arms import DENSE, heads_of, vectors_by_arm
from trivec.events.watching import SearchWatch, as_one_search
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.index.planning import choose_arms, lacks_encoding, required_arms
from trivec.index.searching import warn_of_cut_queries
from trivec.protocols import Encoder
from trivec.query import Filter
from trivec.questions.fusion import QuestionOptions, Scored, least_cosine, merge
from trivec.questions.records import Kind, QuestionRecord
from trivec.types import (
    ALL_HEADS,
    Chunk,
    EncoderInfo,
    Encoding,
    Head,
    Hit,
    Hits,
    QueryText,
    SearchOptions,
)

__all__ = ["ChunksById", "QuestionEncoder", "QuestionSearch", "current_chunks"]

ChunksById: TypeAlias = Mapping[str, Sequence[Chunk]]
Searches = Sequence[Sequence[QueryText]]


class QuestionEncoder:
    """An encoder whose documents are questions: the same question has the same vectors.

    Args:
        encoder: the passages' own.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors: documents are read behind the query's instruction."""
        info = self._encoder.info
        return replace(info, passage_instruction=info.query_instruction)

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode questions that are stored.

        Raises:
            CollectionError: the index was opened for searching in another precision.
        """
        self._encoder.encode_documents(())  # costs nothing, and one for queries alone refuses here
        return self._encoder.encode_queries(texts, heads=heads)

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode questions that are asked."""
        return self._encoder.encode_queries(texts, heads=heads)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices."""
        return self._encoder.decode_tokens(ids)


@dataclass(frozen=True, slots=True)
class QuestionSearch:
    """The two collections that a search goes through.

    Attributes:
        passages: the index itself.
        questions: the collection of its questions.
    """

    passages: HybridIndex
    questions: HybridIndex

    def run(
        self,
        searches: Searches,
        k: int,
        filter: Filter | Mapping[str, Any] | None,
        options: SearchOptions,
        how: QuestionOptions,
    ) -> list[list[Hit]]:
        """Return the hits of each search; see :meth:`trivec.QuestionIndex.search_batch`."""
        watch = SearchWatch(self.passages.store, searches, k, options.fusion)
        try:
            with as_one_search():
                results = self._found(searches, k, filter, options, how, watch=watch)
        except BaseException as err:
            watch.failed(err)
            raise
        watch.found(results)
        return results

    def _found(
        self,
        searches: Searches,
        k: int,
        filter: Filter | Mapping[str, Any] | None,
        options: SearchOptions,
        how: QuestionOptions,
        *,
        watch: SearchWatch,
    ) -> list[list[Hit]]:
        depth = max(how.candidates, k + options.offset) if k else 0
        searches, cut = self._encoded(searches, options, how)
        watch.laps.lap("encode")
        watch.arms = list(choose_arms(options, self.passages.schema)) if how.use_passages else []
        hits: list[list[Hit]] = [[] for _ in searches]
        if how.use_passages:
            whole = replace(options, offset=0)
            hits = self.passages.search_batch(searches, depth, filter=filter, options=whole)
        kinds: list[Kind] = ["question"] if how.use_questions else []
        kinds += ["feedback"] if how.use_feedback else []
        scored: list[list[Scored]] = [[] for _ in searches]
        for kind in kinds:  # each by itself, so that many of one do not crowd out the other
            for pairs, alike in zip(scored, self._alike(searches, depth, kind, how), strict=True):
                pairs.extend(alike)
        named = dict.fromkeys(record.chunk for pairs in scored for record, _ in pairs)
        chunks = self.chunks(list(named), filter)
        results: list[list[Hit]] = []
        for texts, passage_hits, pairs in zip(searches, hits, scored, strict=True):
            current = [
                (replace(record, source=chunk.source), cosine)
                for record, cosine in pairs
                for chunk in current_chunks(record, chunks)
            ]
            merged = merge(passage_hits, current, chain.from_iterable(chunks.values()), how)
            shown = merged[options.offset : options.offset + k]
            if not cut.isdisjoint(text.text for text in texts):
                shown = [replace(hit, query_cut=True) for hit in shown]
            results.append(Hits(shown))
        watch.laps.lap("store")
        return results

    def chunks(
        self, ids: Sequence[str], filter: Filter | Mapping[str, Any] | None = None
    ) -> ChunksById:
        """Return the chunks with these ids that pass a filter, by id; sources may share one."""
        if not ids:
            return {}
        binding = binding_of(self.passages)
        chunks: defaultdict[str, list[Chunk]] = defaultdict(list)
        for points in binding.pages(binding.scope(binding.of_ids(ids), filter)):
            for chunk in map(binding.codec.decode, points):
                chunks[str(chunk.id)].append(chunk)
        return chunks

    def _encoded(
        self, searches: Searches, options: SearchOptions, how: QuestionOptions
    ) -> tuple[list[list[QueryText]], set[str]]:
        """Encode every text once, for all that is searched with it; return what was cut, too."""
        needed = {DENSE.name}
        if how.use_passages:
            arms = choose_arms(options, self.passages.schema)
            needed |= set(required_arms(arms, options))
        lacking = dict.fromkeys(
            text.text for texts in searches for text in texts if lacks_encoding(text, needed)
        )
        encoder = self.passages.encoder
        encodings = encoder.encode_queries(list(lacking), heads=heads_of(needed)) if lacking else []
        warn_of_cut_queries(encodings)
        cut = {
            text for text, encoding in zip(lacking, encodings, strict=True) if encoding.truncated
        }
        computed = dict(zip(lacking, map(vectors_by_arm, encodings), strict=True))
        encoded = [
            [
                replace(text, vectors={**computed.get(text.text, {}), **text.vectors})
                for text in texts
            ]
            for texts in searches
        ]
        return encoded, cut

    def _alike(
        self, searches: Searches, depth: int, kind: Kind, how: QuestionOptions
    ) -> list[list[Scored]]:
        """Return the stored questions like the first text of each search, with their cosines."""
        dense = DENSE.name
        options = SearchOptions(arms=(dense,), thresholds={dense: least_cosine(kind, how)})
        first = [
            QueryText(texts[0].text, vectors={dense: texts[0].vectors[dense]})
            for texts in searches
            if dense in texts[0].vectors
        ]
        results = iter(
            self.questions.search_batch(first, depth, filter={"kind": kind}, options=options)
        )
        return [
            [(QuestionRecord.from_chunk(hit.chunk), hit.score) for hit in next(results)]
            if dense in texts[0].vectors
            else []
            for texts in searches
        ]


def current_chunks(record: QuestionRecord, chunks: ChunksById) -> list[Chunk]:
    """Return the chunks of a record that have the text that it was made for."""
    same_id = chunks.get(record.chunk, [])
    return [chunk for chunk in same_id if record.belongs_to(chunk) and record.is_current(chunk)]
