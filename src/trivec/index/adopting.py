"""Adopting a collection that trivec did not write: which vectors, which payload layout, which ids.

That its dense vectors are this encoder's cannot be tested, since the collection remembers no
model: adopting is the user's word. Only the width and the distance are checked. A sparse vector
has no width, and sparse vectors of two models under one name are garbage, so none is taken
unless it is named.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from trivec.arms import DENSE, arm_named
from trivec.errors import CollectionError
from trivec.index.config import IndexConfig
from trivec.payloads.codecs import CODECS, Codec, codec_keys, detect_codec
from trivec.protocols import Store
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.types import EncoderInfo, StoredPoint

__all__ = ["adopted_schema"]

logger = logging.getLogger(__name__)

SAMPLE = 64
"""How many points are looked at."""


def adopted_schema(store: Store, info: EncoderInfo, config: IndexConfig, place: str) -> Schema:
    """Describe a foreign collection as one that this encoder wrote.

    Raises:
        CollectionError: its vectors or its payloads cannot be taken without being named.
    """
    specs = store.vectors()
    names = config.vectors or {DENSE.name: _only_dense(specs, place)}
    vectors = {arm: _taken(arm, name, specs, info, place) for arm, name in names.items()}
    sample, _ = store.scroll(limit=SAMPLE)
    codec = config.layout or _recognised(sample, place)
    return Schema(
        vectors,
        Fingerprint(info),
        codec=codec.name,
        codec_keys=codec_keys(codec),
        integer_ids=any(isinstance(point.id, int) for point in sample),  # these come first
    )


def _only_dense(specs: Mapping[str, VectorSpec], place: str) -> str:
    dense = sorted(name for name, spec in specs.items() if spec.kind == DENSE.kind)
    if len(dense) != 1:
        raise CollectionError(
            f"{place} has {len(dense)} dense vectors {dense}; name the one that this encoder "
            "wrote with IndexConfig(vectors={'dense': ...})"
        )
    return dense[0]


def _taken(
    arm: str, name: str, specs: Mapping[str, VectorSpec], info: EncoderInfo, place: str
) -> VectorSpec:
    """Return the vector for an arm, checked as far as it can be."""
    spec = specs.get(name)
    if spec is None:
        raise CollectionError(f"{place} has no vector {name!r}; it has {sorted(specs)}")
    wanted = arm_named(arm)
    if wanted.head is None:
        raise CollectionError(
            f"{name!r} cannot be adopted for {arm!r}, whose terms are trivec's own; leave it out "
            f"and call add_arm({arm!r})"
        )
    if (spec.kind, spec.idf) != (wanted.kind, wanted.idf):
        weighting = " weighted by IDF" if spec.idf else ""
        raise CollectionError(
            f"{place} keeps {name!r} as {spec.kind}{weighting}, but {arm!r} is {wanted.kind}; "
            "leave it out and call add_arm()"
        )
    comparable = ("cosine", "dot") if info.normalized else ("cosine",)
    if spec.kind != "sparse" and spec.distance not in comparable:
        raise CollectionError(
            f"{place} compares {name!r} by {spec.distance}, allowed: {', '.join(comparable)}; "
            "index again into a new place"
        )
    if spec.datatype == "uint8":
        raise CollectionError(
            f"{place} keeps {name!r} in uint8, whole numbers from 0 to 255, which turns this "
            "encoder's vectors into zeros; index again into a new place"
        )
    if spec.datatype != "float32":
        logger.warning(
            "%s keeps %r in %s: scores differ a little from those of float32",
            place,
            name,
            spec.datatype,
        )
    return spec


def _recognised(sample: list[StoredPoint], place: str) -> Codec:
    """Return the payload layout of a sample; an empty collection gets trivec's."""
    if not sample:
        return CODECS["trivec"]
    codec = detect_codec([point.payload for point in sample])
    if codec is None:
        keys = sorted({key for point in sample for key in point.payload})
        raise CollectionError(
            f"{place} has payloads with the keys {keys}, and trivec knows no such layout; name "
            f"one with IndexConfig(codec=...): {', '.join(CODECS)}, or PayloadCodec(text_key=..., "
            "metadata_key=...)"
        )
    return codec
