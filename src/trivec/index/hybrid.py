"""The index: text goes in, questions find it again. The one way in and out of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack

from trivec._runtime.typed import checked
from trivec._showing.tables import figures
from trivec.errors import TrivecError
from trivec.index.add_arm import begin_arm, fill_steps, finish_arm
from trivec.index.adding import add_steps
from trivec.index.collection import Binding
from trivec.index.config import IndexConfig
from trivec.index.copying import copy_steps
from trivec.index.indexing import ensure_payload_index
from trivec.index.opening import open_binding
from trivec.index.options import DEFAULT_SEARCH, AddOptions, Progress, merged_options
from trivec.index.performing import run
from trivec.index.planning import choose_arms
from trivec.index.pruning import delete_steps
from trivec.index.searching import get_steps, search_steps, vector_steps
from trivec.index.steps import Steps, compute
from trivec.payloads import Codec, Field
from trivec.protocols import Encoder, Store
from trivec.query import Filter
from trivec.schema import Fingerprint, Schema
from trivec.types import (
    AddReport,
    Chunk,
    FloatArray,
    Hit,
    PointId,
    QueryText,
    SearchOptions,
    SearchOverrides,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = [
    "HybridIndex",
    "add_options",
    "arm_steps",
    "binding_of",
    "known_of",
    "remember_root",
]

T = TypeVar("T")


class HybridIndex:
    """Passages with dense, sparse, BM25 and ColBERT vectors in one Qdrant collection.

    Use :meth:`open`. An index may be used from several threads.

    Example:
        >>> from trivec import Chunk, HybridIndex, load_encoder
        >>> with HybridIndex.open("./kb", load_encoder("mini")) as index:
        ...     index.add([Chunk("BGE-M3 gives three vectors in one pass.", id="m3")])
        ...     hits = index.search("Wie viele Vektoren liefert BGE-M3?", k=1)
    """

    @checked
    def __init__(self, binding: Binding, config: IndexConfig) -> None:
        self._binding = binding
        self._config = config

    @classmethod
    @checked
    def open(
        cls,
        location: str | Path | QdrantClient | Store,
        encoder: Encoder,
        *,
        collection: str | None = None,
        config: IndexConfig | None = None,
        create: bool = True,
        adopt: bool = False,
        mixed_precision: bool = False,
        tenant: str | None = None,
    ) -> Self:
        """Open an index, or create it where there is none.

        Args:
            location: a folder (embedded engine), a ``QdrantClient``, or a store.
            encoder: the model; it must be the one that wrote the collection.
            collection: name of the collection on a server.
            config: what a new collection stores.
            create: False raises where there is no index, instead of creating one.
            adopt: take a collection that trivec did not write as written by this encoder. Its
                dense vectors are believed to be; sparse vectors are left alone unless
                ``IndexConfig.vectors`` names them. The collection remembers that it was adopted.
                Where its points are numbered, an id of digits is such a number.
            mixed_precision: search a collection that was written in float32 by the same model in
                int8, where the agreement that was measured at its export allows it; nothing can
                be added then.
            tenant: keep to this tenant's points; every operation is confined to them.

        Raises:
            InputError: the tenant is not a text, or a blank one.
            CollectionNotFoundError: nothing is there and ``create`` is False.
            FingerprintMismatchError: another model wrote it; both sides are printed.
            CollectionLockedError: another process has the folder open.
            CollectionError: the folder is not an index, or its vectors do not fit the encoder.
            StoreUnavailableError: the server cannot be reached.
        """
        config = config or IndexConfig()
        binding = open_binding(
            location,
            encoder,
            collection=collection,
            config=config,
            create=create,
            adopt=adopt,
            mixed_precision=mixed_precision,
            tenant=tenant,
        )
        return cls(binding, config)

    @property
    def schema(self) -> Schema:
        """What the collection holds and which model wrote it."""
        return self._binding.schema

    @property
    def encoder(self) -> Encoder:
        """The model that the index encodes with."""
        return self._binding.encoder

    @property
    def store(self) -> Store:
        """The store that holds the points."""
        return self._binding.store

    @property
    def codec(self) -> Codec:
        """The payload layout: where text, metadata and trivec's own fields lie in a point."""
        return self._binding.codec

    @checked
    def field(self, key: str) -> Field:
        """Return where a metadata key lies in a point, for filters."""
        return self._binding.field(key)

    @checked
    def point_id(self, identity: str, source: str | None = None) -> PointId:
        """Return the id that Qdrant knows a passage by, from the caller's id and the source."""
        return self._binding.point_id(identity, source)

    @checked
    def id_filter(self, ids: Sequence[str]) -> Filter:
        """Return a filter for the passages with these ids, of whatever source.

        Raises:
            InputError: ``ids`` is one text, or holds something else than texts.
        """
        return self._binding.of_ids(ids)

    @checked
    def with_encoder(self, encoder: Encoder) -> Self:
        """Return this index with another object for the same model: a memo, an observer.

        Both share the store; closing one closes it for both.

        Raises:
            FingerprintMismatchError: the encoder belongs to another model.
        """
        analyzer = self.schema.fingerprint.analyzer if self.schema.fingerprint else None
        self.schema.require_same_writer(Fingerprint(encoder.info, analyzer), "the index")
        return type(self)(replace(self._binding, encoder=encoder), self._config)

    @checked
    def add(
        self,
        chunks: Iterable[Chunk],
        *,
        replace_sources: bool = False,
        late_chunking: bool = False,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add passages or update them; nothing that is there unchanged is encoded again.

        The iterable is streamed. One forward pass encodes each batch while the last is written.
        Every batch is durable once its progress was reported: after a crash, add the same chunks
        again.

        An id belongs to its source: two sources may both have a "1" (see
        ``IndexConfig.scoped_ids``). Of two chunks with one id in one source the first is stored.
        The second is skipped where it is equal, else refused. The same holds for two chunks
        without id at one position.

        Args:
            chunks: the passages.
            replace_sources: afterwards delete the points of every source among the chunks that
                it no longer holds; give each source whole.
            late_chunking: encode the passages of each source together, in order, so that each
                vector knows the whole document (experimental; the encoder must have
                ``encode_long``). Give each source whole and without overlap between passages; a
                source that changed is encoded again whole.
            progress: called with the number of chunks dealt with.

        Returns:
            What was added, updated, skipped, deleted, truncated and refused, and why. Every
            chunk is added, updated, skipped or refused.

        Raises:
            StoreError: the engine failed; what was stored before stays.
            ModelError: the model cannot be loaded.
            InputError: the encoder cannot do late chunking.
        """
        options = add_options(self, replace_sources=replace_sources, late_chunking=late_chunking)
        return self._run(add_steps(self._binding, chunks, options, progress))

    @checked
    def search(
        self,
        query: str | QueryText | Sequence[QueryText],
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        **overrides: Unpack[SearchOverrides],
    ) -> list[Hit]:
        """Find the passages that answer a query.

        Args:
            query: a text, or several with their arms and weights (a question and its keywords).
            k: how many; fewer come back where fewer match.
            filter: a ``qdrant_client.models.Filter`` over payload paths, or a dict over metadata
                keys: ``{"lang": "zh", "year": {"gte": 2020}}``.
            options: arms, fusion, ColBERT, MMR, thresholds, paging, explanation.
            **overrides: fields of :class:`trivec.SearchOptions` for this call:
                ``search(query, explain=True, arms=["dense", "bm25"])``.

        Returns:
            Hits, best first. A notebook shows them as a table, with ``explain=True`` each arm too.

        Raises:
            InputError: a blank query, a negative ``k``, an arm the collection does not have, or a
                field that ``options`` and the call give with different values.
            FilterError: a filter that cannot be understood.
        """
        options = merged_options(options, overrides)
        return self._run(search_steps(self._binding, [query], k, filter, options))[0]

    @checked
    def search_batch(
        self,
        queries: Sequence[str | QueryText | Sequence[QueryText]],
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        **overrides: Unpack[SearchOverrides],
    ) -> list[list[Hit]]:
        """Run several searches: all texts are encoded in one call, all requests sent at once.

        See :meth:`search`; one list of hits for each query.
        """
        options = merged_options(options, overrides)
        return self._run(search_steps(self._binding, queries, k, filter, options))

    @checked
    def search_by_vector(
        self,
        vector: Sequence[float] | FloatArray,
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        **overrides: Unpack[SearchOverrides],
    ) -> list[Hit]:
        """Find the passages nearest to a dense vector that the same model made; nothing is encoded.

        Args:
            vector: ``(dense_dim,)``.
            k: as in :meth:`search`, and so is the rest; only the dense arm can take part.
            filter: as there.
            options: as there.
            **overrides: as there.

        Raises:
            InvalidVectorError: the vector has another size, is zero, or holds NaN or infinity.
            InputError: an option that needs the query's text.
        """
        options = merged_options(options, overrides)
        return self._run(vector_steps(self._binding, vector, k, filter, options))

    @checked
    def get(self, ids: Sequence[str], *, source: str | None = None) -> list[Chunk]:
        """Return the passages with these ids, in the order given; unknown ids are left out.

        Args:
            ids: an id that several sources have gives a passage of each.
            source: of this source alone.
        """
        return self._run(get_steps(self._binding, ids, source))

    @checked
    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        source: str | None = None,
        filter: Filter | Mapping[str, Any] | None = None,
    ) -> int:
        """Delete passages by id, by source or by filter; those given together are AND-ed.

        An id that several sources have is deleted in each, unless ``source`` names one.

        Returns:
            How many were deleted.

        Raises:
            InputError: nothing was given; an empty index is made by deleting its folder.
        """
        return self._run(delete_steps(self._binding.selection(ids, source, filter)))

    @checked
    def arms(self, options: SearchOptions = DEFAULT_SEARCH) -> dict[str, float]:
        """Return the arms that a search with these options uses, and their weights.

        Raises:
            InputError: an arm that the collection does not have.
        """
        return choose_arms(options, self.schema)

    @checked
    def count(self, filter: Filter | Mapping[str, Any] | None = None) -> int:
        """Return the exact number of passages, of those that match a filter where one is given."""
        return self._binding.store.count(self._binding.scope(filter))

    @checked
    def chunks(self, filter: Filter | Mapping[str, Any] | None = None) -> Iterable[Chunk]:
        """Yield every passage, in no promised order."""
        for points in self._binding.pages(self._binding.scope(filter)):
            yield from map(self._binding.codec.decode, points)

    @checked
    def copy_to(self, other: HybridIndex, *, progress: Progress | None = None) -> int:
        """Copy every passage with its vectors into another index; nothing is encoded.

        This is how an index moves from the embedded engine to a server. Copying again is safe.

        Args:
            other: an index of the same model whose arms are all stored here.
            progress: called with the number of points copied.

        Returns:
            How many were copied.

        Raises:
            FingerprintMismatchError: the other index belongs to another model.
            CollectionError: the other index has an arm that this one lacks.
        """
        return self._run(copy_steps(self._binding, other._binding, progress))

    @checked
    def add_arm(self, arm: str, *, progress: Progress | None = None) -> int:
        """Add an arm to the collection in place, computed from the stored text.

        For collections of trivec's and adopted ones, tenants' points all included. Searches use
        the arm once every point has it. After an interruption call this again: only points that
        lack the vector are encoded, one forward for each batch. Calling it for an arm that is
        there gives the vector to points that others have written without it.

        The vector is named as the arm, or ``trivec-<arm>`` where somebody else's has that name.
        Objects that had the collection open before do not know of the arm until they reopen it.

        Args:
            arm: ``sparse``, ``bm25``, ``colbert`` or ``dense``.
            progress: called with the number of points dealt with.

        Returns:
            How many points were given the vector; points without text get none.

        Raises:
            InputError: no such arm, or the model has no head for it.
            StoreError: the engine failed, or the server is older than Qdrant 1.18.
        """
        return self._run(arm_steps(self, arm, progress))

    @checked
    def ensure_payload_index(self, key: str, kind: str | None = None) -> str:
        """Index a key of the metadata, so that filters on it are fast, and allowed in strict mode.

        An index may be added at any time; where it is there already, nothing changes.

        Args:
            key: as filters name it.
            kind: ``keyword``, ``integer``, ``float``, ``bool``, ``datetime``, ``text``, ``uuid`` or
                ``geo``. None: by the values of the first passages that have the key.

        Returns:
            The index type.

        Raises:
            InputError: no such type; or none was given, and no passage has the key.
            StoreError: the server refused it, or the client's key may not make indexes.
        """
        schema, indexed = ensure_payload_index(self._binding, key, kind)
        self._binding = replace(self._binding, schema=schema)
        return indexed

    def optimize(self) -> None:
        """Build the engine's indexes now; worth it after adding many passages (embedded only)."""
        self._binding.store.optimize()

    def close(self) -> None:
        """Release the folder; a client that was given stays open. Closing twice is fine."""
        self._binding.store.close()

    def _run(self, steps: Steps[T]) -> T:
        return run(steps, self._binding.store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an index holds an open folder, or a connection and perhaps its key, and cannot be "
            "pickled; open it again where it is needed"
        )

    def __repr__(self) -> str:
        return f"HybridIndex({self._binding.store!r}, arms={list(self.schema.vectors)})"

    def _repr_html_(self) -> str:
        try:
            count = f"{self.count():,}"
        except TrivecError as err:  # it is closed, or its server is away: the rest is known
            count = f"not known: {err}"
        return figures([*known_of(self), ("passages", count)], "HybridIndex")


def known_of(index: HybridIndex) -> list[tuple[str, str]]:
    """Return what an index knows of itself without asking its store, for a notebook."""
    schema, tenant = index.schema, binding_of(index).tenant
    model = schema.fingerprint.encoder.model if schema.fingerprint else index.encoder.info.model
    known = [("store", repr(index.store)), ("model", model), ("arms", ", ".join(schema.vectors))]
    return [*known, ("tenant", tenant)] if tenant else known


def binding_of(index: HybridIndex) -> Binding:
    """Return what an index is bound to: the door for trivec's other rooms, not for programs."""
    return index._binding  # noqa: SLF001  # this module made it


def arm_steps(index: HybridIndex, arm: str, progress: Progress | None) -> Steps[int]:
    """Add an arm to an index's collection, of which the index knows then; see ``binding_of``."""
    binding, config = binding_of(index), index._config  # noqa: SLF001  # the same
    marked = yield from compute(lambda: begin_arm(binding, arm, config))
    index._binding = marked  # noqa: SLF001  # the same
    options = add_options(index, replace_sources=False)
    filled = yield from fill_steps(marked, arm, options, progress)
    index._binding = yield from compute(lambda: finish_arm(marked, arm))  # noqa: SLF001  # the same
    return filled


def remember_root(index: HybridIndex, root: str) -> None:
    """Let the collection remember which folder its sources are relative to; see ``binding_of``."""
    binding = binding_of(index)
    schema = replace(binding.schema, root=root)
    binding.store.describe(schema)
    index._binding = replace(binding, schema=schema)  # noqa: SLF001  # the same


def add_options(
    index: HybridIndex, *, replace_sources: bool, late_chunking: bool = False
) -> AddOptions:
    """Return how an index adds chunks; see ``binding_of``."""
    config = index._config  # noqa: SLF001  # the same
    return AddOptions(
        batch_size=config.batch_size,
        colbert_overflow=config.colbert_overflow,
        replace_sources=replace_sources,
        late_chunking=late_chunking,
    )
