"""The points of new chunks: their vectors are another point's, or come from one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

from trivec.colbert import pool_rows
from trivec.encoders.memo import MemoEncoder
from trivec.errors import InputError, TextsRefusedError
from trivec.index.collection import NO_HEADS, Binding
from trivec.index.late_chunking import Context, context_digest
from trivec.index.options import AddOptions, ColbertOverflow
from trivec.index.steps import Steps, compute, read
from trivec.index.tally import Tally
from trivec.index.unfinished import empty_arms, encoded_arms, known_empty, left_out, mark_empty
from trivec.payloads.trivec import content_digest
from trivec.protocols import Encoder, LongEncoder
from trivec.schema import MAX_MULTIVECTOR_FLOATS
from trivec.types import Chunk, Encoding, Point, PointId

__all__ = ["fit_colbert", "long_encoder", "point_steps"]


def point_steps(
    binding: Binding,
    fresh: Mapping[PointId, Chunk],
    around: Mapping[PointId, Context],
    options: AddOptions,
    tally: Tally,
) -> Steps[list[Point]]:
    """Return the points of new texts: with vectors that are known, or encoded in one pass."""
    reused = yield from _reused_steps(binding, fresh, around, options)
    rest = {key: chunk for key, chunk in fresh.items() if key not in reused}
    points = yield from compute(lambda: _encode(binding, rest, around, options, tally))
    tally.reused += len(reused)
    return [*reused.values(), *points]


def _reused_steps(
    binding: Binding,
    fresh: Mapping[PointId, Chunk],
    around: Mapping[PointId, Context],
    options: AddOptions,
) -> Steps[dict[PointId, Point]]:
    """Return the points whose vectors another point has."""
    if not options.known:
        return {}
    contents = {
        key: (content_digest(chunk.text), context_digest(around, key))
        for key, chunk in fresh.items()
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
        chunk, context = fresh[key], context_digest(around, key)
        point = complete.get(twin)
        if point is not None and binding.holds_text(point.payload, chunk.text, context):
            payload = binding.codec.encode(chunk, binding.tenant, context)
            mark_empty(binding, payload, known_empty(binding, point.payload))
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
    heads = encoded_arms(binding)
    points = []
    refused: dict[PointId, str] = {}
    truncated: list[PointId] = []
    for (key, chunk), encoding in zip(fresh.items(), encodings, strict=True):
        fitted = fit_colbert(encoding, options.colbert_overflow)
        if missing := left_out(heads, encoding):
            made = ", ".join(missing)
            refused[key] = f"the encoder made no vectors for {made}; add it again later"
            continue
        if fitted is None:
            refused[key] = _too_many_rows(encoding)
            continue
        if encoding.truncated:
            truncated.append(key)
        vectors = binding.document_vectors(chunk.text, fitted)
        payload = binding.codec.encode(chunk, binding.tenant, context_digest(around, key))
        mark_empty(binding, payload, empty_arms(heads, encoding))
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
