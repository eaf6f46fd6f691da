"""Adding an arm to a collection in place: a new vector, filled from the stored text.

The arm is marked in the collection's description while it is filled. New points get its vector
from then on, a search does not use it yet, and after an interruption only the points that still
lack it are encoded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trivec._runtime.checks import shown
from trivec.arms import Arm, arm_named, arms_among
from trivec.bm25 import AnalyzerConfig
from trivec.errors import InputError
from trivec.index.collection import Binding
from trivec.index.config import IndexConfig
from trivec.index.encoding import fit_colbert
from trivec.index.opening import stored_analyzer, vector_spec
from trivec.index.options import AddOptions, Progress
from trivec.index.steps import Steps, compute, in_background, join, read
from trivec.query import Filter, qdrant
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.text import clean
from trivec.types import PointId, StoredPoint, Vector

__all__ = ["begin_arm", "fill_steps", "finish_arm"]

logger = logging.getLogger(__name__)


def begin_arm(binding: Binding, arm: str, config: IndexConfig) -> Binding:
    """Create the arm's vector and mark it as being added, unless that was done before.

    Raises:
        InputError: no such arm, or the model has no head for it.
        StoreError: the server is too old to add a vector.
    """
    added = arm_named(arm)
    info, schema = binding.encoder.info, binding.schema
    if not added.is_made_by(info):
        raise InputError(f"arm={shown(arm)} needs a head that the model lacks; it has {info.heads}")
    if arm in schema.written:
        return binding
    name = _free_name(arm, binding.store.vectors())
    spec = vector_spec(added, name, info, config, tenants=schema.tenant_key is not None)
    binding.store.create_vector(spec)
    fingerprint = schema.fingerprint or Fingerprint(info)
    if added.head is None:
        analyzer = (config.analyzer or AnalyzerConfig()).to_json()
        fingerprint = replace(fingerprint, analyzer=analyzer)
    marked = {**schema.building, arm: spec}
    return _described(binding, replace(schema, fingerprint=fingerprint, building=marked))


def finish_arm(binding: Binding, arm: str) -> Binding:
    """Let searches use the arm."""
    schema = binding.schema
    if arm not in schema.building:
        return binding
    searched = [other.name for other in arms_among({*schema.vectors, arm})]
    vectors = {name: schema.written[name] for name in searched}
    building = {name: spec for name, spec in schema.building.items() if name != arm}
    return _described(binding, replace(schema, vectors=vectors, building=building))


def fill_steps(
    binding: Binding, arm: str, options: AddOptions, progress: Progress | None
) -> Steps[int]:
    """Give the arm's vector to every point that lacks it, and return how many got it.

    A point that changes meanwhile keeps what it was given then.
    """
    filling = arm_named(arm)
    name = binding.schema.written[arm].name
    lacking = qdrant.Filter(must_not=[qdrant.HasVectorCondition(has_vector=name)])
    filled, seen, written = 0, 0, 0
    offset: PointId | None = None
    while True:
        points, offset = yield from _page(lacking, options.batch_size, offset)
        vectors = yield from _encode(binding, filling, points, options)
        yield from _store(vectors, lacking)
        _report(progress, written)
        filled, seen, written = filled + len(vectors), seen + len(points), len(points)
        if offset is None:
            break
    yield from join()
    _report(progress, written)
    if filled < seen:
        logger.warning("%d of %d points got no %s vector", seen - filled, seen, arm)
    return filled


def _page(
    filter: Filter, limit: int, offset: PointId | None
) -> Steps[tuple[list[StoredPoint], PointId | None]]:
    return (yield from read(lambda store: store.scroll(filter=filter, limit=limit, offset=offset)))


def _encode(
    binding: Binding, arm: Arm, points: Sequence[StoredPoint], options: AddOptions
) -> Steps[Mapping[PointId, Mapping[str, Vector]]]:
    return (yield from compute(lambda: _vectors(binding, arm, points, options)))


def _store(vectors: Mapping[PointId, Mapping[str, Vector]], where: Filter) -> Steps[None]:
    """Write the vectors in the background."""
    if vectors:
        yield from in_background(lambda store: store.update_vectors(vectors, where=where))
    else:
        yield from in_background()


def _free_name(arm: str, taken: Mapping[str, VectorSpec]) -> str:
    """Return a vector name that nobody uses: two models must never share one."""
    names: Iterator[str] = iter(
        (arm, f"trivec-{arm}", *(f"trivec-{arm}-{n}" for n in range(2, 99)))
    )
    return next(name for name in names if name not in taken)


def _described(binding: Binding, schema: Schema) -> Binding:
    binding.store.describe(schema)
    return replace(binding, schema=schema, analyzer=stored_analyzer(schema))


def _vectors(
    binding: Binding, arm: Arm, points: Sequence[StoredPoint], options: AddOptions
) -> dict[PointId, dict[str, Vector]]:
    """Return the vectors of a page, encoded in one call; points without text get none."""
    texts = {point.id: clean(binding.codec.decode(point).text) for point in points}
    texts = {key: text for key, text in texts.items() if text.strip()}
    vectors: dict[PointId, Vector | None] = {}
    name = binding.schema.written[arm.name].name
    if arm.head is None:
        vectors |= {key: binding.document_vectors(text).get(name) for key, text in texts.items()}
    elif texts:
        encodings = binding.encoder.encode_documents(list(texts.values()), heads=(arm.head,))
        for key, encoding in zip(texts, encodings, strict=True):
            fitted = fit_colbert(encoding, options.colbert_overflow)
            vectors[key] = None if fitted is None else getattr(fitted, arm.head)
    return {
        key: {name: vector} for key, vector in vectors.items() if vector is not None and len(vector)
    }


def _report(progress: Progress | None, count: int) -> None:
    if progress is not None and count:
        progress(count)
