"""What both engines give back, as trivec's values: their records differ in name alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np

from trivec._runtime.checks import shown
from trivec._runtime.plain import json_values, own_text
from trivec._runtime.typed import unchecked
from trivec.errors import InputError, InvalidVectorError, StoreError
from trivec.query import StoreQuery
from trivec.schema import MAX_DEPTH, Schema, VectorSpec
from trivec.types import Point, PointId, SparseVector, Vector

__all__ = [
    "asked_id",
    "point_id_of",
    "searchable",
    "storable_payloads",
    "storable_points",
    "vector_of",
]

_CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DRESSED = re.compile("(?:urn:)?(?:uuid:)?[{]?[0-9A-Fa-f-]+[}]?")


def asked_id(value: Any) -> PointId:
    """Return an id that a caller gave, as every client and engine takes it.

    Raises:
        StoreError: Qdrant has no such id.
    """
    if isinstance(value, str):
        if type(value) is str and _CANONICAL.fullmatch(value):
            return value
        with suppress(ValueError):
            if _DRESSED.fullmatch(value):  # Python reads signs, spaces and other digits too
                return str(UUID(value))
    elif type(value) is not bool and isinstance(value, (int, np.integer)) and 0 <= value < 2**64:
        return int(value)
    raise StoreError(
        f"the point id is {shown(value)}, allowed: unsigned integers of 64 bits and UUIDs"
    )


def storable_points(schema: Schema, points: Sequence[Point]) -> list[Point]:
    """Return points of plain ids, names, arrays and JSON values, which every engine takes alike.

    Raises:
        StoreError: Qdrant has no such id.
        InvalidVectorError: names every point with a vector that must not be stored.
        InputError: another field of a point cannot be stored.
    """
    plain = [
        Point(asked_id(point.id), _named(point), _payload(point.id, point.payload))
        for point in points
    ]
    unchecked(Schema.require_valid)(schema, plain)
    return [
        Point(point.id, {name: _plain(each) for name, each in point.vectors.items()}, point.payload)
        for point in plain
    ]


def storable_payloads(
    payloads: Mapping[PointId, Mapping[str, Any]],
) -> dict[PointId, dict[str, Any]]:
    """Return payloads of plain JSON values by plain ids; see ``storable_points``."""
    return {asked_id(key): _payload(key, payload) for key, payload in payloads.items()}


def searchable(schema: Schema, queries: Sequence[StoreQuery]) -> list[StoreQuery]:
    """Return searches for vectors that the collection can have, of plain arrays.

    Raises:
        StoreError: the collection has no such vector.
        InvalidVectorError: what a search looks for does not fit it.
    """
    specs = {spec.name: spec for spec in schema.written.values()}
    return [_searchable(specs, query) for query in queries]


def _searchable(specs: Mapping[str, VectorSpec], query: StoreQuery) -> StoreQuery:
    for name in query.with_vectors:
        _spec(specs, name)
    plain: dict[str, Any] = {}
    prefetches = tuple(
        prefetch
        if (vector := _fitting(specs, prefetch.using, prefetch.vector)) is prefetch.vector
        else replace(prefetch, vector=vector)
        for prefetch in query.prefetches
    )
    if any(one is not other for one, other in zip(prefetches, query.prefetches, strict=True)):
        plain["prefetches"] = prefetches
    rescore = query.rescore
    if rescore is not None and (vector := _fitting(specs, *rescore)) is not rescore[1]:
        plain["rescore"] = (rescore[0], vector)
    return replace(query, **plain) if plain else query


def _fitting(specs: Mapping[str, VectorSpec], name: str, vector: Vector) -> Vector:
    if reason := _spec(specs, name).fault(vector):
        raise InvalidVectorError(f"the vector to look for in {shown(name)} {reason}")
    return _plain(vector)


def _spec(specs: Mapping[str, VectorSpec], name: str) -> VectorSpec:
    if name not in specs:
        raise StoreError(f"there is no vector {shown(name)}; there are {sorted(specs)}")
    return specs[name]


def _payload(key: PointId, payload: object) -> dict[str, Any]:
    name = f"the payload of point {key}"
    if not isinstance(payload, Mapping):
        raise InputError(f"{name} is {shown(payload)}; allowed: a dict")
    values: dict[str, Any] = json_values(payload, name, MAX_DEPTH + 1)  # metadata lies in it
    return values


def _named(point: Point) -> Mapping[str, Vector]:
    """Return a point's vectors by plain names."""
    vectors: Any = point.vectors
    if not isinstance(vectors, Mapping):
        given = shown(vectors)
        raise InputError(f"the vectors of point {point.id} are {given}; allowed: a dict of arrays")
    if all(type(name) is str for name in vectors):
        return vectors
    return {own_text(name): vector for name, vector in vectors.items()}


def _plain(vector: Vector) -> Vector:
    """Return a vector of float32 in this machine's order."""
    if isinstance(vector, SparseVector):
        indices, values = _array(vector.indices, _UINT32), _array(vector.values, _FLOAT32)
        same = indices is vector.indices and values is vector.values
        return vector if same else SparseVector(indices, values)
    plain: Vector = _array(vector, _FLOAT32)
    return plain


_FLOAT32, _UINT32 = np.dtype(np.float32), np.dtype(np.uint32)


def _array(array: Any, kind: np.dtype[Any]) -> Any:
    if type(array) is np.ndarray and array.dtype == kind:
        return array
    return np.array(array, dtype=kind)


def point_id_of(value: Any) -> PointId:
    """Return an id as trivec writes it: UUIDs in their canonical text form."""
    return value if isinstance(value, int) else str(value)


def vector_of(value: Any) -> Vector:
    """Return a vector: a list of numbers or rows, or the engine's own sparse one."""
    if isinstance(value, list):
        return np.array(value, dtype=np.float32)
    indices = np.array(value.indices, dtype=np.uint32)
    values = np.array(value.values, dtype=np.float32)
    order = indices.argsort()
    return SparseVector(indices[order], values[order])
