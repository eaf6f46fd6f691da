"""Adding chunks: identify, skip what is unchanged, encode once, write while the next is encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trivec.errors import InputError, PointsRefusedError
from trivec.index.collection import Binding
from trivec.index.encoding import long_encoder, point_steps
from trivec.index.identifying import first_claims, identified
from trivec.index.late_chunking import context_digest, contexts, whole_documents
from trivec.index.options import AddOptions, Progress
from trivec.index.pruning import prune_steps
from trivec.index.steps import Steps, Write, in_background, join, read
from trivec.index.tally import Tally
from trivec.index.unfinished import known_empty, mark_empty, unfinished_steps
from trivec.payloads.trivec import content_digest
from trivec.protocols import AsyncStore, Store
from trivec.types import AddReport, Chunk, Point, PointId, StoredPoint

__all__ = ["add_steps"]


@dataclass(slots=True)
class _Batch:
    """What one window of chunks asks of the store."""

    points: list[Point] = field(default_factory=list)
    payloads: dict[PointId, Mapping[str, Any]] = field(default_factory=dict)
    chunks: int = 0
    ids: dict[PointId, str] = field(default_factory=dict)
    created: set[PointId] = field(default_factory=set)
    refused: dict[PointId, str] = field(default_factory=dict)

    def write(self, ahead: int) -> Steps[None]:
        """Write this in the background; what the engine refuses is noted, all else stored."""
        writes: list[Write] = []
        if self.points:
            writes.append(_all_but_refused(lambda store: store.upsert(self.points), self.refused))
        if self.payloads:
            writes.append(
                _all_but_refused(lambda store: store.overwrite_payload(self.payloads), self.refused)
            )
        yield from in_background(*writes, ahead=ahead)

    def current(self) -> dict[PointId, Mapping[str, Any]]:
        """The payloads that the store will hold once this is written."""
        return {**{point.id: point.payload for point in self.points}, **self.payloads}


def add_steps(
    binding: Binding, chunks: Iterable[Chunk], options: AddOptions, progress: Progress | None
) -> Steps[AddReport]:
    """Add chunks to a bound collection; see :meth:`trivec.HybridIndex.add`."""
    tally = Tally()
    in_flight: deque[_Batch] = deque()
    ahead = int(getattr(binding.store, "parallel_writes", 1))
    windows = whole_documents if options.late_chunking else _windows
    if options.late_chunking:
        long_encoder(binding.encoder)  # refused before anything is read
    try:
        for window in windows(_only_chunks(chunks), options.batch_size):
            underway = {key: value for batch in in_flight for key, value in batch.current().items()}
            batch = yield from _prepare(binding, window, underway, options, tally)
            yield from batch.write(ahead)
            in_flight.append(batch)
            while len(in_flight) > ahead:
                _finish(progress, in_flight.popleft(), tally)
        yield from join()
        while in_flight:
            _finish(progress, in_flight.popleft(), tally)
    except Exception as err:
        err.add_note(
            "what was stored before this stays; add the same chunks again to continue, "
            "unchanged ones are skipped without encoding them"
        )
        raise
    if options.replace_sources:
        for source, kept in tally.sources.items():
            if source not in tally.incomplete and not options.keeps_source(source):
                tally.deleted += yield from prune_steps(
                    binding, source, kept, tally, dry_run=options.dry_run
                )
    return tally.report()


def _all_but_refused(write: Write, refused: dict[PointId, str]) -> Write:
    """Return a write that notes refused points instead of raising."""

    async def awaited(answer: Awaitable[None]) -> None:
        try:
            await answer
        except PointsRefusedError as err:
            refused.update(err.refused)

    def call(store: Store | AsyncStore) -> Awaitable[None] | None:
        try:
            answer = write(store)
        except PointsRefusedError as err:
            refused.update(err.refused)
            return None
        return None if answer is None else awaited(answer)

    return call


def _only_chunks(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks.

    Raises:
        InputError: there is something else; what came before it is stored.
    """
    for chunk in chunks:
        if not isinstance(chunk, Chunk):
            raise InputError(
                f"add() was given a list with a {type(chunk).__name__}; give Chunk objects, such "
                "as Chunk('a passage', source='file.md'); LangChain's documents and LlamaIndex's "
                "nodes go to the adapters' vector stores"
            )
        yield chunk


def _windows(chunks: Iterable[Chunk], size: int) -> Iterator[list[Chunk]]:
    window: list[Chunk] = []
    try:
        for chunk in chunks:
            window.append(chunk)
            if len(window) == size:
                yield window
                window = []
    except Exception:
        if window:
            yield window  # what was given before the error is stored
        raise
    if window:
        yield window


def _prepare(
    binding: Binding,
    window: Sequence[Chunk],
    in_flight: Mapping[PointId, Mapping[str, Any]],
    options: AddOptions,
    tally: Tally,
) -> Steps[_Batch]:
    """Sort a window into what is skipped, refused, rewritten and encoded."""
    claims = identified(binding, window, tally)
    stored = yield from read(lambda store: store.retrieve(list(claims)))
    existing = {point.id: point.payload for point in stored}
    existing.update((key, in_flight[key]) for key in claims if key in in_flight)
    chunks = first_claims(binding, claims, existing, tally, dry_run=options.dry_run)
    around = contexts(chunks) if options.late_chunking else {}
    same = {
        key: chunk.text
        for key, chunk in chunks.items()
        if key in existing
        and binding.holds_text(existing[key], chunk.text, context_digest(around, key))
    }
    written = {key: text for key, text in same.items() if key not in in_flight}
    unfinished = yield from unfinished_steps(binding, written, existing)
    batch = _Batch(chunks=len(window))
    fresh: dict[PointId, Chunk] = {}
    for key, chunk in chunks.items():
        context = context_digest(around, key)
        if key not in existing:
            fresh[key] = chunk
            continue
        before = binding.codec.decode(StoredPoint(key, existing[key]))
        if before != chunk and _is_displaced(binding, before, chunk):
            tally.displaced += 1
        if key not in same or key in unfinished:
            fresh[key] = chunk
        elif before == chunk:
            tally.skipped += 1
        else:
            batch.ids[key] = str(chunk.id)
            payload = binding.codec.encode(chunk, binding.tenant, context)
            mark_empty(binding, payload, known_empty(binding, existing[key]))
            batch.payloads[key] = payload
            tally.updated += 1
    if options.dry_run:
        tally.reused += sum(
            (content_digest(chunk.text), context_digest(around, key)) in options.known
            for key, chunk in fresh.items()
        )
    else:
        batch.points += yield from point_steps(binding, fresh, around, options, tally)
        fresh = {point.id: fresh[point.id] for point in batch.points}
        batch.ids.update((key, str(chunk.id)) for key, chunk in fresh.items())
        batch.created.update(fresh.keys() - existing.keys())
    updated = len(fresh.keys() & existing.keys())
    tally.updated += updated
    tally.added += len(fresh) - updated
    _remember(chunks, tally, options)
    return _Batch(chunks=len(window)) if options.dry_run else batch


def _is_displaced(binding: Binding, before: Chunk, chunk: Chunk) -> bool:
    """Say whether a chunk takes the place of another source's, where sources share ids."""
    sources = (before.source, chunk.source)
    return not binding.schema.scoped_ids and None not in sources and sources[0] != sources[1]


def _remember(chunks: Mapping[PointId, Chunk], tally: Tally, options: AddOptions) -> None:
    """Note which points are as their chunks say, in 8 bytes each, and what pruning needs of them.

    A name for each source takes some 100 bytes, which every chunk has where each is a source.
    """
    kept = {key: chunk for key, chunk in chunks.items() if key not in tally.protected}
    repeated = tally.seen.among(kept)  # by a likeness of hashes, or after a refusal
    tally.seen.add([key for key in kept if key not in repeated])
    if options.replace_sources:
        sources = (chunk.source for chunk in kept.values())
        tally.sources.update(source for source in sources if source is not None)


def _finish(progress: Progress | None, batch: _Batch, tally: Tally) -> None:
    """Report a batch that is written."""
    tally.take_back(batch.refused, batch.ids, batch.created)
    if progress is not None and batch.chunks:
        progress(batch.chunks)
