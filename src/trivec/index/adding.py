"""Adding chunks: identify, skip what is unchanged, encode once, write while the next is encoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal, TypeAlias

from trivec._runtime.reports import frozen
from trivec.colbert import pool_rows
from trivec.encoders.memo import MemoEncoder
from trivec.errors import InputError
from trivec.index.collection import Binding
from trivec.index.late_chunking import Context, contexts, whole_documents
from trivec.index.steps import Steps, Write, compute, in_background, join, read, write
from trivec.index.unfinished import (
    empty_arms,
    known_empty,
    left_out,
    mark_empty,
    unfinished_steps,
)
from trivec.payloads.trivec import identify
from trivec.protocols import Encoder, LongEncoder
from trivec.query import Filter
from trivec.schema import MAX_MULTIVECTOR_FLOATS
from trivec.types import AddReport, Chunk, Encoding, Point, PointId, Refusal, StoredPoint

__all__ = ["AddOptions", "ColbertOverflow", "Progress", "add_steps", "delete_steps", "fit_colbert"]

ColbertOverflow: TypeAlias = Literal["pool", "refuse"]
"""What becomes of more ColBERT rows than one point can hold; see :class:`IndexConfig`."""
Progress: TypeAlias = Callable[[int], None]
"""Called with the number of chunks, or points, dealt with since the last call."""
"""Called with the number of chunks that were dealt with since the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """How chunks are added.

    Attributes:
        batch_size: chunks that are encoded together and written together.
        colbert_overflow: what becomes of more ColBERT rows than Qdrant takes: neighbouring rows
            are averaged (``pool``), or the chunk is refused.
        replace_sources: delete the points of every given source that it no longer holds.
        late_chunking: encode the passages of a source in the light of all of them.
    """

    batch_size: int = 128
    colbert_overflow: ColbertOverflow = "pool"
    replace_sources: bool = False
    late_chunking: bool = False


@dataclass(slots=True)
class _Tally:
    """The report while it grows."""

    added: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    truncated: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    seen: defaultdict[str, list[PointId]] = field(default_factory=lambda: defaultdict(list))

    def report(self) -> AddReport:
        return frozen(AddReport, self)


@dataclass(slots=True)
class _Batch:
    """What one window of chunks asks of the store."""

    points: list[Point] = field(default_factory=list)
    payloads: dict[PointId, Mapping[str, Any]] = field(default_factory=dict)
    chunks: int = 0

    def write(self) -> Steps[None]:
        """Write this in the background."""
        writes: list[Write] = []
        if self.points:
            writes.append(lambda store: store.upsert(self.points))
        if self.payloads:
            writes.append(lambda store: store.overwrite_payload(self.payloads))
        yield from in_background(*writes)

    def current(self) -> dict[PointId, Mapping[str, Any]]:
        """The payloads that the store will hold once this is written."""
        return {**{point.id: point.payload for point in self.points}, **self.payloads}


def add_steps(
    binding: Binding, chunks: Iterable[Chunk], options: AddOptions, progress: Progress | None
) -> Steps[AddReport]:
    """Add chunks to a bound collection; see :meth:`trivec.HybridIndex.add`."""
    tally = _Tally()
    written = _Batch()
    windows = whole_documents if options.late_chunking else _windows
    if options.late_chunking:
        long_encoder(binding.encoder)  # refused before anything is read
    try:
        for window in windows(_only_chunks(chunks), options.batch_size):
            batch = yield from _prepare(binding, window, written.current(), options, tally)
            yield from batch.write()
            _report(progress, written)
            written = batch
        yield from join()
        _report(progress, written)
    except Exception as err:
        err.add_note(
            "what was stored before this stays; add the same chunks again to continue, "
            "unchanged ones are skipped without encoding them"
        )
        raise
    if options.replace_sources:
        for source, ids in tally.seen.items():
            tally.deleted += yield from _prune(binding, source, ids)
    return tally.report()


def delete_steps(scope: Filter | None) -> Steps[int]:
    """Delete what matches and return how many points that were."""
    count = yield from read(lambda store: store.count(scope))
    if count:
        yield from write(lambda store: store.delete(filter=scope))
    return count


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
    tally: _Tally,
) -> Steps[_Batch]:
    """Sort a window into what is skipped, refused, rewritten and encoded."""
    acceptable = list(_acceptable(window, tally))
    identified = {binding.point_id(str(chunk.id)): chunk for chunk in acceptable}
    around = contexts(acceptable) if options.late_chunking else {}
    found = yield from read(lambda store: store.retrieve(list(identified)))
    existing = {point.id: point.payload for point in found}
    existing.update((key, in_flight[key]) for key in identified if key in in_flight)
    same = {
        key: chunk.text
        for key, chunk in identified.items()
        if key in existing and binding.holds_text(existing[key], chunk.text, _digest(around, chunk))
    }
    stored = {key: text for key, text in same.items() if key not in in_flight}
    unfinished = yield from unfinished_steps(binding, stored, existing)
    batch = _Batch(chunks=len(window))
    fresh: dict[PointId, Chunk] = {}
    for key, chunk in identified.items():
        if chunk.source is not None:
            tally.seen[chunk.source].append(key)
        context = _digest(around, chunk)
        if key not in same or key in unfinished:
            fresh[key] = chunk
        elif binding.codec.decode(StoredPoint(key, existing[key])) == chunk:
            tally.skipped += 1
        else:
            payload = binding.codec.encode(chunk, binding.tenant, context)
            mark_empty(binding, payload, known_empty(binding, existing[key]))
            batch.payloads[key] = payload
            tally.updated += 1
    points = yield from compute(lambda: _encode(binding, fresh, around, options, tally))
    for point in points:
        batch.points.append(point)
        if point.id in existing:
            tally.updated += 1
        else:
            tally.added += 1
    return batch


def _acceptable(window: Sequence[Chunk], tally: _Tally) -> Iterator[Chunk]:
    """Yield the chunks with their ids; of several with one id the last, the others count once."""
    latest: dict[str, Chunk] = {}
    for chunk in window:
        try:
            named = identify(chunk)
        except InputError as err:
            tally.refused.append(Refusal(str(chunk.id), str(err)))
            continue
        identity = str(named.id)
        if not named.text.strip():
            tally.refused.append(Refusal(identity, "the text is blank"))
            continue
        if identity in latest:
            tally.skipped += 1
        latest[identity] = named
    yield from latest.values()


def _encode(
    binding: Binding,
    fresh: Mapping[PointId, Chunk],
    around: Mapping[str, Context],
    options: AddOptions,
    tally: _Tally,
) -> list[Point]:
    """Encode in one pass and keep the points that may be stored."""
    if options.late_chunking:
        encodings = _encode_in_context(binding, list(fresh.values()), around)
    else:
        texts = [chunk.text for chunk in fresh.values()]
        encodings = binding.encoder.encode_documents(texts, heads=binding.heads) if texts else []
    points = []
    for (key, chunk), encoding in zip(fresh.items(), encodings, strict=True):
        fitted = fit_colbert(encoding, options.colbert_overflow)
        if missing := left_out(binding, encoding):
            reason = f"the encoder made no vectors for {', '.join(missing)}; add it again later"
            tally.refused.append(Refusal(str(chunk.id), reason))
            continue
        if fitted is None:
            tally.refused.append(Refusal(str(chunk.id), _too_many_rows(encoding)))
            continue
        if encoding.truncated:
            tally.truncated.append(str(chunk.id))
        vectors = binding.document_vectors(chunk.text, fitted)
        payload = binding.codec.encode(chunk, binding.tenant, _digest(around, chunk))
        mark_empty(binding, payload, empty_arms(binding, encoding))
        points.append(Point(key, vectors, payload))
    invalid = binding.schema.invalid(points)
    tally.refused.extend(Refusal(str(fresh[key].id), why) for key, why in invalid.items())
    return [point for point in points if point.id not in invalid]


def _encode_in_context(
    binding: Binding, chunks: Sequence[Chunk], around: Mapping[str, Context]
) -> list[Encoding]:
    """Encode every document once, for the passages of it that are wanted."""
    encoder = long_encoder(binding.encoder)
    encodings: list[Encoding] = []
    for document, members in groupby(
        (around[str(chunk.id)] for chunk in chunks), key=lambda context: context.document
    ):
        spans = [(context.start, context.end) for context in members]
        encodings += encoder.encode_long(document, spans, heads=binding.heads)
    return encodings


def _digest(around: Mapping[str, Context], chunk: Chunk) -> str | None:
    context = around.get(str(chunk.id))
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


def _report(progress: Progress | None, batch: _Batch) -> None:
    if progress is not None and batch.chunks:
        progress(batch.chunks)


def _prune(binding: Binding, source: str, keep: Sequence[PointId]) -> Steps[int]:
    """Delete the points of a source that are not among ``keep``; return how many."""
    from qdrant_client import models

    kept = models.Filter(must_not=[models.HasIdCondition(has_id=list(keep))])
    return (yield from delete_steps(binding.scope(binding.of_source(source), kept)))
