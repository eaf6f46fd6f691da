"""A collection bound to the encoder that reads and writes it: what adding and searching share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trivec._runtime.checks import check_texts, is_iterable
from trivec._runtime.typed import unchecked
from trivec.arms import heads_of, vectors_by_arm
from trivec.bm25 import Bm25Analyzer
from trivec.errors import InputError
from trivec.index.tenant_words import RarityByTenant
from trivec.payloads.fields import Field
from trivec.payloads.trivec import IDENTITY, TOKENS, Codec, content_digest, point_id
from trivec.protocols import Encoder, Store
from trivec.query import Filter, qdrant
from trivec.schema import Schema
from trivec.stores.filters import all_of, as_filter
from trivec.text import clean
from trivec.types import Chunk, Encoding, Head, PointId, StoredPoint, Vector

__all__ = ["NO_HEADS", "Binding", "listed_ids"]

_vectors_by_arm = unchecked(vectors_by_arm)

NO_HEADS = Encoding()


@dataclass(frozen=True, slots=True)
class Binding:
    """A store, what it holds, and how chunks become its points.

    Attributes:
        store: where the points are.
        schema: the collection's vectors by arm.
        encoder: computes dense, sparse and ColBERT vectors.
        analyzer: computes BM25 vectors, None without that arm.
        codec: the payload layout.
        tenant: whose points these are; None for a collection without tenants.
        rarity: how rare words are among a tenant's passages, where the engine does not say.
    """

    store: Store
    schema: Schema
    encoder: Encoder
    analyzer: Bm25Analyzer | None
    codec: Codec
    tenant: str | None = None
    rarity: RarityByTenant = field(default_factory=RarityByTenant, compare=False, repr=False)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The encoder's heads that the collection stores."""
        return heads_of(self.schema.written)

    def point_id(self, identity: str, source: str | None = None) -> PointId:
        """Return the point id of a caller's id, within a source where ids are scoped.

        In an adopted collection whose points are numbered, digits are such a number.
        """
        scoped = self.schema.scoped_ids and source is not None
        if self.tenant is not None or scoped:
            return point_id(identity, self.tenant, source if scoped else None)
        if self.schema.integer_ids and (number := _number(identity)) is not None:
            return number
        return self.codec.point_id(identity)

    def point_of(self, chunk: Chunk) -> PointId:
        """Return the point id of an identified chunk."""
        return self.point_id(str(chunk.id), chunk.source)

    def scope(self, *filters: Filter | Mapping[str, Any] | None) -> Filter | None:
        """AND the filters with the tenant's own, which none of them can widen."""
        parts = [as_filter(part, self.field) for part in filters]
        if self.tenant is not None:
            parts.append(self._of("tenant", self.tenant))
        return all_of(*parts)

    def field(self, key: str) -> Field:
        """Return where a metadata key lies, for filters.

        Tokens are asked where the collection has an index of them: a server in strict mode
        refuses conditions on others. Where nothing else leads to a value, they are asked anyway.
        """
        field = self.codec.metadata_field(key)
        indexed = self.codec.own_path(TOKENS) in self.schema.payload_indexes
        return field if indexed or field.hidden else replace(field, tokens=None)

    def of_points(self, points: Sequence[PointId]) -> Filter:
        """Return a filter for these points."""
        return qdrant.Filter(must=[qdrant.HasIdCondition(has_id=list(points))])

    def of_ids(self, ids: Sequence[str]) -> Filter:
        """Return a filter for the passages with these ids, of whatever source.

        Raises:
            InputError: it is one text, or holds something else than texts.
        """
        names = listed_ids(ids)
        points = qdrant.HasIdCondition(has_id=[self.point_id(name) for name in names])
        if not (self.schema.scoped_ids and names):
            return qdrant.Filter(must=[points])
        match = qdrant.MatchAny(any=[clean(name) for name in names])
        own = qdrant.FieldCondition(key=self.codec.own_path(IDENTITY), match=match)
        return qdrant.Filter(should=[points, own])

    def of_source(self, source: str) -> Filter:
        """Return a filter for the points of a source."""
        return self._of("source", clean(source))

    def _of(self, field: str, value: str) -> Filter:
        """Return a filter for one value of trivec's own fields, compared as it is."""
        match = qdrant.MatchValue(value=value)
        condition = qdrant.FieldCondition(key=self.codec.own_path(field), match=match)
        return qdrant.Filter(must=[condition])

    def selection(
        self,
        ids: Sequence[str] | None,
        source: str | None,
        filter: Filter | Mapping[str, Any] | None,
    ) -> Filter | None:
        """Return one filter for the points to delete.

        Raises:
            InputError: nothing was given, which would mean everything.
        """
        if ids is None and source is None and filter is None:
            raise InputError("delete() was given nothing; give ids, source or filter")
        parts: list[Filter | Mapping[str, Any] | None] = [filter]
        if ids is not None:
            parts.append(self.of_ids(ids))
        if source is not None:
            parts.append(self.of_source(source))
        return self.scope(*parts)

    def pages(
        self,
        filter: Filter | None,
        *,
        with_vectors: Sequence[str] = (),
    ) -> Iterator[list[StoredPoint]]:
        """Yield every point that matches, a page at a time."""
        offset: PointId | None = None
        while True:
            points, offset = self.store.scroll(
                filter=filter, offset=offset, with_vectors=with_vectors
            )
            if points:
                yield points
            if offset is None:
                return

    def holds_text(self, payload: Mapping[str, Any], text: str, context: str | None = None) -> bool:
        """Say whether a stored payload's vectors are of this text; of a foreign one, never sure.

        Args:
            payload: what is stored.
            text: the passage.
            context: the digest of the document that the vectors should know of, if any.
        """
        own = self.codec.own(payload)
        return own.get("digest") == content_digest(text) and own.get("context") == context

    def document_vectors(self, text: str, encoding: Encoding = NO_HEADS) -> dict[str, Vector]:
        """Return a passage's vectors by their names in the collection; empty ones are left out."""
        analyzed = None if self.analyzer is None else self.analyzer.document(text)
        vectors = _vectors_by_arm(encoding, analyzed)
        written = self.schema.written
        return {written[arm].name: vectors[arm] for arm in written if arm in vectors}

    def query_vectors(self, text: str, encoding: Encoding = NO_HEADS) -> dict[str, Vector]:
        """Return a query's vectors by arm; empty ones are left out."""
        analyzed = None if self.analyzer is None else self.analyzer.query(text)
        return _vectors_by_arm(encoding, analyzed)


def listed_ids(ids: Iterable[str]) -> list[str]:
    """Return ids as a list.

    Raises:
        InputError: it is one text, or holds something else than texts.
    """
    names = list(ids) if is_iterable(ids) and not isinstance(ids, str | bytes) else ids
    check_texts("ids", names)
    return list(names)


def _number(identity: str) -> int | None:
    """Return the point id that a text of digits means; one that is written otherwise means none."""
    if not identity.isdecimal() or not identity.isascii() or len(identity) > len(str(2**64)):
        return None
    number = int(identity)
    return number if number < 2**64 and str(number) == identity else None
