"""What a collection holds and which model wrote it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from trivec._runtime.checks import check_least, shown
from trivec._runtime.typed import check_fields, checked
from trivec.errors import (
    CollectionError,
    FingerprintMismatchError,
    InputError,
    InvalidVectorError,
)
from trivec.types import EncoderInfo, Point, PointId, SparseVector, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MAX_DEPTH",
    "MAX_MULTIVECTOR_FLOATS",
    "Fingerprint",
    "Schema",
    "VectorKind",
    "VectorSpec",
]

SCHEMA_VERSION = 1

MAX_DEPTH = 30
"""How many levels of dicts and lists metadata and filters may have, the outermost included.

The lowest of the engines' own limits is that of gRPC: 32 levels (``upb_DecodeOptions_MaxDepth``).
The embedded engine cannot read its log back from 121 levels on.
"""

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
        datatype: how a foreign collection keeps their numbers; trivec's are ``float32``.
    """

    name: str
    kind: VectorKind
    size: int | None = None
    idf: bool = False
    distance: str = "cosine"
    datatype: str = "float32"

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("size", self.size, 1, or_none=True)

    def fault(self, vector: Vector) -> str | None:
        """Say what keeps a vector from being stored or looked up here, or None."""
        sound = self.kind != "multivector" and _is_sound_column((vector,), self)
        return None if sound else _fault(vector, self)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of what wrote a collection's vectors.

    Attributes:
        encoder: the model behind dense, sparse and colbert.
        analyzer: the settings of the BM25 analyser, None without that arm.
    """

    encoder: EncoderInfo
    analyzer: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    #: changing one of these leaves the vectors comparable
    _FREE = ("model", "revision", "heads")

    @checked
    def differences(self, other: Fingerprint) -> list[tuple[str, Any, Any]]:
        """Return ``(field, own, others)`` for everything that makes vectors incomparable."""
        rows = []
        for spec in fields(EncoderInfo):
            own, others = getattr(self.encoder, spec.name), getattr(other.encoder, spec.name)
            if spec.name not in self._FREE and own != others:
                rows.append((spec.name, own, others))
        if self.analyzer is not None and other.analyzer is not None:
            for name in sorted({*self.analyzer, *other.analyzer}):
                own, others = self.analyzer.get(name), other.analyzer.get(name)
                if own != others:
                    rows.append((f"analyzer.{name}", own, others))
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

    def __post_init__(self) -> None:
        check_fields(self)

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
    @checked
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
        except (KeyError, TypeError, AttributeError, InputError) as err:
            raise CollectionError(
                f"the collection's description is damaged ({err!r}); restore it or index again"
            ) from err

    @checked
    def require_same_writer(self, writer: Fingerprint, where: str) -> None:
        """Check that ``writer`` may read and write here.

        Raises:
            FingerprintMismatchError: both sides are printed.
        """
        if self.fingerprint is None:
            raise FingerprintMismatchError(
                f"{where} was not written by trivec, so its model is unknown; if it was written "
                f"by {writer.encoder.model!r}, open it with adopt=True"
            )
        rows = self.fingerprint.differences(writer)
        if rows:
            table = "\n".join(
                f"  {name}: there {there!r}, here {here!r}" for name, there, here in rows
            )
            advice = "open it with the model that wrote it, or index again into a new place"
            if [name for name, _, _ in rows] == ["precision"]:
                advice += "; mixed_precision=True searches it where the two are near enough"
            raise FingerprintMismatchError(
                f"{where} was written by {self.fingerprint.encoder.model!r} and is opened with "
                f"{writer.encoder.model!r}, whose vectors are not comparable:\n{table}\n{advice}"
            )

    @checked
    def invalid(self, points: Sequence[Point]) -> dict[PointId, str]:
        """Return the points that must not be stored, each with the reason.

        Qdrant's embedded engine takes NaN, zero vectors and repeated sparse indices without a
        word, so they are refused here.
        """
        by_name = {spec.name: spec for spec in self.written.values()}
        if _are_sound(points, by_name):
            return {}
        reasons = {}
        for point in points:
            for name, vector in point.vectors.items():
                spec = by_name.get(name)
                if spec is None:
                    reason: str | None = f"has no place here; there are {sorted(by_name)}"
                else:
                    reason = spec.fault(vector)
                if reason is not None:
                    reasons[point.id] = f"vector {shown(name)} {reason}"
                    break
        return reasons

    @checked
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


def _are_sound(points: Sequence[Point], by_name: Mapping[str, VectorSpec]) -> bool:
    """Say whether nothing is wrong with any vector; False where that takes a closer look.

    It costs a tenth of that look: one product says of a vector that it is finite and not too short.
    """
    columns: defaultdict[str, list[Vector]] = defaultdict(list)
    for point in points:
        for name, vector in point.vectors.items():
            columns[name].append(vector)
    return all(
        name in by_name and _is_sound_column(column, by_name[name])
        for name, column in columns.items()
    )


def _is_sound_column(vectors: Sequence[Vector], spec: VectorSpec) -> bool:
    if spec.kind == "multivector":  # each is large enough for products of its own
        return all(_fault(vector, spec) is None for vector in vectors)
    if spec.kind == "sparse":
        sparse = [vector for vector in vectors if isinstance(vector, SparseVector)]
        return len(sparse) == len(vectors) and _are_sound_sparse(sparse)
    dense = [vector for vector in vectors if not isinstance(vector, SparseVector)]
    with np.errstate(over="ignore", under="ignore"):
        shape = (spec.size,)
        for row in dense:
            if type(row) is not np.ndarray or row.dtype != _FLOAT32 or row.shape != shape:
                return False
            if not _SHORTEST_SQUARE <= np.dot(row, row) < np.inf:
                return False
    return len(dense) == len(vectors)


def _are_sound_sparse(vectors: Sequence[SparseVector]) -> bool:
    filled = []
    for vector in vectors:
        values: Any = vector.values
        indices: Any = vector.indices
        if type(values) is not np.ndarray or type(indices) is not np.ndarray:
            return False
        if values.dtype != _FLOAT32 or indices.dtype != _UINT32:
            return False
        if values.ndim != 1 or values.shape != indices.shape:
            return False
        if values.size:
            filled.append(vector)
    if not filled:
        return True
    values = np.concatenate([vector.values for vector in filled])
    indices = np.concatenate([vector.indices for vector in filled]).astype(np.int64)
    starts = np.cumsum([0, *(vector.values.size for vector in filled[:-1])])
    steps = np.diff(indices)
    steps[starts[1:] - 1] = 1  # from one vector to the next
    finite = bool(np.isfinite(values).all())
    return finite and bool(np.logical_or.reduceat(values != 0, starts).all() and (steps > 0).all())


_FLOAT32, _UINT32 = np.dtype(np.float32), np.dtype(np.uint32)


def _fault(vector: Vector, spec: VectorSpec) -> str | None:
    """Say what is wrong with a vector as the engines keep it, in float32; None where nothing is."""
    if isinstance(vector, SparseVector):
        return _sparse_fault(vector, spec)
    if not _is_numeric(vector):
        return f"is a {type(vector).__name__} of {_dtype(vector)}, allowed: a numpy array of floats"
    expected = {"dense": 1, "multivector": 2}.get(spec.kind)
    if vector.ndim != expected or vector.shape[-1] != spec.size:
        return f"has shape {vector.shape}, allowed: {spec.kind} of width {spec.size}"
    if not 0 < vector.size < MAX_MULTIVECTOR_FLOATS:
        return f"has {vector.size} floats, allowed: 1 to {MAX_MULTIVECTOR_FLOATS - 1}"
    return _value_fault(vector, spec)


def _value_fault(vector: NDArray[Any], spec: VectorSpec) -> str | None:
    kept = _kept(vector)
    if not np.isfinite(kept).all():
        return _infinite(vector)
    if not kept.any(axis=-1).all():
        return "is zero in float32, or has a zero row"
    return _length_fault(kept) if spec.distance == "cosine" else None


def _sparse_fault(vector: SparseVector, spec: VectorSpec) -> str | None:
    if spec.kind != "sparse":
        return f"is sparse, allowed: {spec.kind} of width {spec.size}"
    if not _is_numeric(vector.values) or not _is_numeric(vector.indices):
        return f"has values of {_dtype(vector.values)}, indices of {_dtype(vector.indices)}"
    if vector.indices.shape != vector.values.shape:
        return f"has {len(vector.indices)} indices and {len(vector.values)} values"
    kept = _kept(vector.values)
    if not np.isfinite(kept).all():
        return _infinite(vector.values)
    if len(vector) and not kept.any():
        return "is zero in float32"
    return _index_fault(vector.indices) if len(vector) else None


def _index_fault(indices: NDArray[Any]) -> str | None:
    if indices.dtype.kind == "f" or not _are_indices(indices):
        return f"has indices beyond 0 to {_LARGEST_INDEX}, or that are no integers"
    if not (np.diff(indices.astype(np.int64)) > 0).all():
        return "has repeated or unsorted indices"
    return None


_LARGEST_INDEX = 2**32 - 1
_SHORTEST_SQUARE = float(np.finfo(np.float32).eps)
"""Qdrant leaves a vector as it is where its squared length is below this: its scores vanish."""


def _are_indices(indices: NDArray[Any]) -> bool:
    return int(indices.min()) >= 0 and int(indices.max()) <= _LARGEST_INDEX


def _is_numeric(vector: object) -> bool:
    masked = isinstance(vector, np.ma.MaskedArray)
    return isinstance(vector, np.ndarray) and not masked and vector.dtype.kind in "fiu"


def _dtype(vector: object) -> str:
    return str(getattr(vector, "dtype", type(vector).__name__))


def _kept(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as the engines keep them."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32, copy=False)


def _infinite(values: NDArray[Any]) -> str:
    if np.isfinite(values).all():
        return "overflows to infinity in float32"
    return "holds NaN or infinity"


def _length_fault(kept: NDArray[np.float32]) -> str | None:
    """Say whether the engines cannot bring a vector, or a row, to unit length in float32."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("...i,...i->...", kept, kept)
    if np.isfinite(squares).all() and (squares >= _SHORTEST_SQUARE).all():
        return None
    lengths = np.linalg.norm(kept.astype(np.float64), axis=-1)
    return (
        f"has a length of {lengths.min():.3g} to {lengths.max():.3g}, which cannot be brought to 1 "
        "in float32; scale it to unit length"
    )
