"""Adding chunks: identify, skip what is unchanged, encode once, write while the next is encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal, TypeAlias

from trivec.colbert import pool_rows
from trivec.encoders.memo import MemoEncoder
from trivec.errors import InputError, PointsRefusedError, TextsRefusedError
from trivec.index.collection import NO_HEADS, Binding
from trivec.index.identifying import first_claims, identified
from trivec.index.late_chunking import Context, contexts, whole_documents
from trivec.index.pruning import prune_steps
from trivec.index.steps import Steps, Write, compute, in_background, join, read
from trivec.index.tally import Tally
from trivec.payloads.trivec import content_digest
from trivec.protocols import AsyncStore, Encoder, LongEncoder, Store
from trivec.schema import MAX_MULTIVECTOR_FLOATS
from trivec.types import AddReport, Chunk, Encoding, Point, PointId, StoredPoint

__all__ = ["AddOptions", "ColbertOverflow", "Contents", "Progress", "add_steps", "fit_colbert"]

ColbertOverflow: TypeAlias = Literal["pool", "refuse"]
"""What becomes of more ColBERT rows than one point can hold; see :class:`IndexConfig`."""
Progress: TypeAlias = Callable[[int], None]
"""Called with the number of chunks, or points, dealt with since the last call."""
Contents: TypeAlias = tuple[str, str | None]
"""What vectors are of: the digest of a text, and of the document that they know, if any."""


def _never(_source: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """How chunks are added.

    Attributes:
        batch_size: chunks that are encoded together and written together.
        colbert_overflow: what becomes of more ColBERT rows than Qdrant takes: neighbouring rows
            are averaged (``pool``), or the chunk is refused.
        replace_sources: delete the points of every given source that it no longer holds.
        keeps_source: says of a source that nothing of it may be deleted.
        late_chunking: encode the passages of a source in the light of all of them.
        known: points whose vectors are copied for a new chunk of the same contents.
        dry_run: count alone; nothing is encoded or written.
    """

    batch_size: int = 128
    colbert_overflow: ColbertOverflow = "pool"
    replace_sources: bool = False
    keeps_source: Callable[[str], bool] = _never
    late_chunking: bool = False
    known: Mapping[Contents, PointId] = field(default_factory=dict)
    dry_run: bool = False


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
            if not underway.keys().isdisjoint(batch.current()):
                yield from join()  # two writes of one point keep their order
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
    if isinstance(chunks, Chunk | str) or not isinstance(chunks, Iterable):
        raise InputError(f"add() was given a {type(chunks).__name__}; give a list of Chunk objects")
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
    batch = _Batch(chunks=len(window))
    fresh: dict[PointId, Chunk] = {}
    for key, chunk in chunks.items():
        context = _digest(around, key)
        if key not in existing:
            fresh[key] = chunk
            continue
        before = binding.codec.decode(StoredPoint(key, existing[key]))
        if before != chunk and _is_displaced(binding, before, chunk):
            tally.displaced += 1
        if not binding.holds_text(existing[key], chunk.text, context):
            fresh[key] = chunk
        elif before == chunk:
            tally.skipped += 1
        else:
            batch.ids[key] = str(chunk.id)
            batch.payloads[key] = binding.codec.encode(chunk, binding.tenant, context)
            tally.updated += 1
    if options.dry_run:
        tally.reused += sum(
            (content_digest(chunk.text), _digest(around, key)) in options.known
            for key, chunk in fresh.items()
        )
    else:
        batch.points += yield from _points(binding, fresh, around, options, tally)
        fresh = {point.id: fresh[point.id] for point in batch.points}
        batch.ids.update((key, str(chunk.id)) for key, chunk in fresh.items())
        batch.created.update(fresh.keys() - existing.keys())
    updated = len(fresh.keys() & existing.keys())
    tally.updated += updated
    tally.added += len(fresh) - updated
    _remember(chunks, tally)
    return _Batch(chunks=len(window)) if options.dry_run else batch


def _is_displaced(binding: Binding, before: Chunk, chunk: Chunk) -> bool:
    """Say whether a chunk takes the place of another source's, where sources share ids."""
    sources = (before.source, chunk.source)
    return not binding.schema.scoped_ids and None not in sources and sources[0] != sources[1]


def _remember(chunks: Mapping[PointId, Chunk], tally: Tally) -> None:
    """Note which points are as their chunks say."""
    kept = {key: chunk for key, chunk in chunks.items() if key not in tally.protected}
    repeated = tally.seen.among(kept)  # by a likeness of hashes, or after a refusal
    tally.seen.add([key for key in kept if key not in repeated])
    tally.sources.update(chunk.source for chunk in kept.values() if chunk.source is not None)


def _points(
    binding: Binding,
    fresh: Mapping[PointId, Chunk],
    around: Mapping[PointId, Context],
    options: AddOptions,
    tally: Tally,
) -> Steps[list[Point]]:
    """Return the points of new texts: with vectors that are known, or encoded in one pass."""
    reused = yield from _reused(binding, fresh, around, options)
    rest = {key: chunk for key, chunk in fresh.items() if key not in reused}
    points = yield from compute(lambda: _encode(binding, rest, around, options, tally))
    tally.reused += len(reused)
    return [*reused.values(), *points]


def _reused(
    binding: Binding,
    fresh: Mapping[PointId, Chunk],
    around: Mapping[PointId, Context],
    options: AddOptions,
) -> Steps[dict[PointId, Point]]:
    """Return the points whose vectors another point has."""
    contents = {
        key: (content_digest(chunk.text), _digest(around, key)) for key, chunk in fresh.items()
    }
    twins = {key: options.known[what] for key, what in contents.items() if what in options.known}
    if not twins:
        return {}
    specs = binding.schema.written.values()
    names = [spec.name for spec in specs]
    whole = {spec.name for spec in specs if spec.kind != "sparse"}  # those may be empty
    wanted = list(dict.fromkeys(twins.values()))
    stored = yield from read(lambda store: store.retrieve(wanted, with_vectors=names))
    complete = {point.id: point for point in stored if whole <= point.vectors.keys()}
    points = {}
    for key, twin in twins.items():
        chunk, context = fresh[key], _digest(around, key)
        point = complete.get(twin)
        if point is not None and binding.holds_text(point.payload, chunk.text, context):
            payload = binding.codec.encode(chunk, binding.tenant, context)
            points[key] = Point(key, point.vectors, payload)
    return points


def _encode(
    binding: Binding,
    fresh: Mapping[PointId, Chunk],
    around: Mapping[PointId, Context],
    options: AddOptions,
    tally: Tally,
) -> list[Point]:
    """Encode in one pass and keep the points that may be stored."""
    if not binding.heads:  # words alone need no model
        encodings = [NO_HEADS] * len(fresh)
    elif options.late_chunking:
        encodings = _encode_in_context(binding, fresh, around)
    else:
        fresh, encodings = _encode_texts(binding, fresh, tally)
    points = []
    refused: dict[PointId, str] = {}
    truncated: list[PointId] = []
    for (key, chunk), encoding in zip(fresh.items(), encodings, strict=True):
        fitted = fit_colbert(encoding, options.colbert_overflow)
        if fitted is None:
            refused[key] = _too_many_rows(encoding)
            continue
        if encoding.truncated:
            truncated.append(key)
        vectors = binding.document_vectors(chunk.text, fitted)
        payload = binding.codec.encode(chunk, binding.tenant, _digest(around, key))
        points.append(Point(key, vectors, payload))
    refused |= binding.schema.invalid(points)
    for key, reason in refused.items():
        tally.refuse(str(fresh[key].id), reason)
        tally.protected.add(key)
    tally.truncated += [str(fresh[key].id) for key in truncated if key not in refused]
    return [point for point in points if point.id not in refused]


def _encode_texts(
    binding: Binding, fresh: Mapping[PointId, Chunk], tally: Tally
) -> tuple[Mapping[PointId, Chunk], list[Encoding]]:
    """Encode the chunks; those whose texts the model does not take are refused, and left out."""
    while fresh:
        texts = [chunk.text for chunk in fresh.values()]
        try:
            return fresh, binding.encoder.encode_documents(texts, heads=binding.heads)
        except TextsRefusedError as err:
            reasons = err.reasons
        kept = {key: chunk for key, chunk in fresh.items() if chunk.text not in reasons}
        if len(kept) == len(fresh):
            raise TextsRefusedError(reasons)
        for key in fresh.keys() - kept.keys():
            tally.refuse(str(fresh[key].id), reasons[fresh[key].text])
            tally.protected.add(key)
        fresh = kept
    return fresh, []


def _encode_in_context(
    binding: Binding, chunks: Mapping[PointId, Chunk], around: Mapping[PointId, Context]
) -> list[Encoding]:
    """Encode every document once, for the passages of it that are wanted."""
    encoder = long_encoder(binding.encoder)
    encodings: list[Encoding] = []
    for document, members in groupby(
        (around[key] for key in chunks), key=lambda context: context.document
    ):
        spans = [(context.start, context.end) for context in members]
        encodings += encoder.encode_long(document, spans, heads=binding.heads)
    return encodings


def _digest(around: Mapping[PointId, Context], key: PointId) -> str | None:
    context = around.get(key)
    return None if context is None else context.digest


def long_encoder(encoder: Encoder) -> LongEncoder:
    """Return an encoder as one that can do late chunking.

    Raises:
        InputError: it cannot.
    """
    inner = encoder.encoder if isinstance(encoder, MemoEncoder) else encoder
    if not isinstance(inner, LongEncoder):
        raise InputError(
            f"late_chunking=True, but {type(inner).__name__} has no encode_long(); take a "
            "FlagEncoder, an OnnxEncoder or MiniEncoder, or leave late_chunking out"
        )
    return inner


def fit_colbert(encoding: Encoding, overflow: ColbertOverflow) -> Encoding | None:
    """Return an encoding whose ColBERT rows Qdrant takes, or None where that is refused."""
    if encoding.colbert is None or encoding.colbert.size < MAX_MULTIVECTOR_FLOATS:
        return encoding
    if overflow == "refuse":
        return None
    rows = (MAX_MULTIVECTOR_FLOATS - 1) // encoding.colbert.shape[1]
    return replace(encoding, colbert=pool_rows(encoding.colbert, rows))


def _too_many_rows(encoding: Encoding) -> str:
    rows, width = (0, 1) if encoding.colbert is None else encoding.colbert.shape
    return (
        f"{rows} ColBERT rows of {width}, Qdrant takes {(MAX_MULTIVECTOR_FLOATS - 1) // width}; "
        "split the text, or use colbert_overflow='pool'"
    )


def _finish(progress: Progress | None, batch: _Batch, tally: Tally) -> None:
    """Report a batch that is written."""
    tally.take_back(batch.refused, batch.ids, batch.created)
    if progress is not None and batch.chunks:
        progress(batch.chunks)
