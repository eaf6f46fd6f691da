"""What a collection holds and which model wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from trivec.errors import CollectionError, FingerprintMismatchError, InvalidVectorError
from trivec.types import EncoderInfo, Point, PointId, SparseVector, Vector

__all__ = ["MAX_MULTIVECTOR_FLOATS", "Fingerprint", "Schema", "VectorKind", "VectorSpec"]

SCHEMA_VERSION = 1

MAX_MULTIVECTOR_FLOATS = 1024 * 1024
"""Qdrant refuses a multivector of this many floats or more (``MAX_MULTIVECTOR_FLATTENED_LEN``)."""

VectorKind: TypeAlias = Literal["dense", "sparse", "multivector"]
"""What Qdrant stores under a name."""


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """One named vector of a collection.

    Attributes:
        name: the vector's name in Qdrant; ``""`` is the unnamed one.
        kind: dense, sparse, or multivector (MaxSim, no HNSW: for rescoring only).
        size: width of a dense vector or of a multivector's rows.
        idf: whether Qdrant multiplies query weights by IDF (BM25, never learned sparse).
        distance: how a foreign collection compares vectors; trivec's are by ``cosine``.
    """

    name: str
    kind: VectorKind
    size: int | None = None
    idf: bool = False
    distance: str = "cosine"

    def fault(self, vector: Vector) -> str | None:
        """Say what keeps a vector from being stored or looked up here, or None."""
        return _fault(vector, self)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of what wrote a collection's vectors.

    Attributes:
        encoder: the model behind dense, sparse and colbert.
        analyzer: the settings of the BM25 analyser, None without that arm.
    """

    encoder: EncoderInfo
    analyzer: Mapping[str, Any] | None = None

    #: changing one of these leaves the vectors comparable
    _FREE = ("model", "revision", "heads")

    def differences(self, other: Fingerprint) -> list[tuple[str, Any, Any]]:
        """Return ``(field, mine, theirs)`` for everything that makes vectors incomparable."""
        rows = []
        for spec in fields(EncoderInfo):
            mine, theirs = getattr(self.encoder, spec.name), getattr(other.encoder, spec.name)
            if spec.name not in self._FREE and mine != theirs:
                rows.append((spec.name, mine, theirs))
        if self.analyzer is not None and other.analyzer is not None:
            for name in sorted({*self.analyzer, *other.analyzer}):
                mine, theirs = self.analyzer.get(name), other.analyzer.get(name)
                if mine != theirs:
                    rows.append((f"analyzer.{name}", mine, theirs))
        return rows


@dataclass(frozen=True, slots=True)
class Schema:
    """The vectors of a collection by arm, its payload indexes and its fingerprint.

    Attributes:
        vectors: by arm (``dense``, ``sparse``, ``bm25``, ``colbert``), where that arm is stored.
        fingerprint: who wrote it; None for a collection that trivec did not write.
        payload_indexes: payload path to Qdrant's index type (``keyword``, ``integer``, ...).
        tenant_key: payload path that separates tenants, if any.
        codec: name of the payload layout.
        codec_keys: the keys of a layout that has its own.
        integer_ids: whether an id of digits means the point with that number; only in adopted
            collections whose points are numbered.
        building: arms that are being added, as ``vectors``: they are written but not yet searched.
        scoped_ids: whether an id that is no UUID belongs to its source, so that two sources may
            both have a "1". Without, ids are one for the whole collection.
        root: the folder that the sources of files are relative to, where files were read.
    """

    vectors: Mapping[str, VectorSpec]
    fingerprint: Fingerprint | None = None
    payload_indexes: Mapping[str, str] = field(default_factory=dict)
    tenant_key: str | None = None
    codec: str = "trivec"
    codec_keys: Mapping[str, str] = field(default_factory=dict)
    integer_ids: bool = False
    building: Mapping[str, VectorSpec] = field(default_factory=dict)
    scoped_ids: bool = False
    root: str | None = None

    @property
    def written(self) -> dict[str, VectorSpec]:
        """The vectors that a new point gets, by arm: those that are being added too."""
        return {**self.vectors, **self.building}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, for a collection's metadata or an index folder."""
        data = asdict(self)
        data["schema_version"] = SCHEMA_VERSION
        return json.loads(json.dumps(data))  # type: ignore[no-any-return]  # tuples become lists

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Read what :meth:`to_json` wrote.

        Raises:
            CollectionError: it was written by an unknown version, or is damaged.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise CollectionError(
                f"the collection has schema version {version!r}, this trivec reads "
                f"{SCHEMA_VERSION}; use the version that wrote it, or index again"
            )
        try:
            fingerprint = None
            if data["fingerprint"] is not None:
                encoder = dict(data["fingerprint"]["encoder"])
                encoder["heads"] = tuple(encoder["heads"])
                fingerprint = Fingerprint(EncoderInfo(**encoder), data["fingerprint"]["analyzer"])
            return cls(
                vectors=_specs(data["vectors"]),
                fingerprint=fingerprint,
                payload_indexes=data["payload_indexes"],
                tenant_key=data["tenant_key"],
                codec=data["codec"],
                codec_keys=data["codec_keys"],
                integer_ids=data["integer_ids"],
                building=_specs(data["building"]),
                scoped_ids=bool(data.get("scoped_ids", False)),  # descriptions before had neither
                root=data.get("root"),
            )
        except (KeyError, TypeError, AttributeError) as err:
            raise CollectionError(
                f"the collection's description is damaged ({err!r}); restore it or index again"
            ) from err

    def require_same_writer(self, mine: Fingerprint, where: str) -> None:
        """Check that ``mine`` may read and write here.

        Raises:
            FingerprintMismatchError: both sides are printed.
        """
        if self.fingerprint is None:
            raise FingerprintMismatchError(
                f"{where} was not written by trivec, so its model is unknown; if it was written "
                f"by {mine.encoder.model!r}, open it with adopt=True"
            )
        rows = self.fingerprint.differences(mine)
        if rows:
            table = "\n".join(
                f"  {name}: there {there!r}, here {here!r}" for name, there, here in rows
            )
            advice = "open it with the model that wrote it, or index again into a new place"
            if [name for name, _, _ in rows] == ["precision"]:
                advice += "; mixed_precision=True searches it where the two are near enough"
            raise FingerprintMismatchError(
                f"{where} was written by {self.fingerprint.encoder.model!r} and is opened with "
                f"{mine.encoder.model!r}, whose vectors are not comparable:\n{table}\n{advice}"
            )

    def invalid(self, points: Sequence[Point]) -> dict[PointId, str]:
        """Return the points that must not be stored, each with the reason.

        Qdrant's embedded engine takes NaN, zero vectors and repeated sparse indices without a
        word, so they are refused here.
        """
        by_name = {spec.name: spec for spec in self.written.values()}
        reasons = {}
        for point in points:
            for name, vector in point.vectors.items():
                spec = by_name.get(name)
                if spec is None:
                    reason: str | None = f"has no place here; there are {sorted(by_name)}"
                else:
                    reason = spec.fault(vector)
                if reason is not None:
                    reasons[point.id] = f"vector {name!r} {reason}"
                    break
        return reasons

    def require_valid(self, points: Sequence[Point]) -> None:
        """Raise when a point must not be stored.

        Raises:
            InvalidVectorError: names every such point; nothing was written.
        """
        if reasons := self.invalid(points):
            listing = "; ".join(f"{point}: {reason}" for point, reason in reasons.items())
            raise InvalidVectorError(f"{len(reasons)} of {len(points)} points refused: {listing}")


def _specs(data: Mapping[str, Mapping[str, Any]]) -> dict[str, VectorSpec]:
    return {arm: VectorSpec(**spec) for arm, spec in data.items()}


def _fault(vector: Vector, spec: VectorSpec) -> str | None:
    """Say what is wrong with a vector, or None."""
    if isinstance(vector, SparseVector):
        return _sparse_fault(vector, spec)
    expected = {"dense": 1, "multivector": 2}.get(spec.kind)
    if vector.ndim != expected or vector.shape[-1] != spec.size:
        return f"has shape {vector.shape}, allowed: {spec.kind} of width {spec.size}"
    if not 0 < vector.size < MAX_MULTIVECTOR_FLOATS:
        return f"has {vector.size} floats, allowed: 1 to {MAX_MULTIVECTOR_FLOATS - 1}"
    if not np.isfinite(vector).all():
        return "holds NaN or infinity"
    return None if vector.any(axis=-1).all() else "is zero, or has a zero row"


def _sparse_fault(vector: SparseVector, spec: VectorSpec) -> str | None:
    if spec.kind != "sparse":
        return f"is sparse, allowed: {spec.kind} of width {spec.size}"
    if vector.indices.shape != vector.values.shape:
        return f"has {len(vector.indices)} indices and {len(vector.values)} values"
    if not np.isfinite(vector.values).all():
        return "holds NaN or infinity"
    if len(vector) > 1 and not (np.diff(vector.indices.astype(np.int64)) > 0).all():
        return "has repeated or unsorted indices"
    return None
