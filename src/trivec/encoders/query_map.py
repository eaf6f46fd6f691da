"""A small map that takes the language of a query out of its dense vector.

A multilingual encoder puts part of a text's language into its vector, so that a query lies nearer
to passages of its own language than to the ones that answer it. The directions in which the
translations of one text differ are measured once, over many languages; a query is shortened along
them, and moved away from what all texts share (within-class covariance normalisation, Hatch et al.
2006, with the text as the class). Passages keep their vectors: an index needs no new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trivec._models.weights import read_tensors
from trivec.errors import ModelError
from trivec.types import Encoding, FloatArray

__all__ = ["QUERY_MAP", "QueryMap", "read_query_map"]

QUERY_MAP = "query_map.safetensors"
"""The file of a model's folder that holds the map, if the model has one."""


@dataclass(frozen=True, slots=True)
class QueryMap:
    """What a query's dense vector goes through before it is compared with passages.

    Attributes:
        offset: ``(dim,)`` float32, taken from the vector at unit length.
        directions: ``(count, dim)`` float32, orthonormal.
        shares: ``(count,)`` float32 from 0 to 1: what is taken away along each direction.
    """

    offset: FloatArray
    directions: FloatArray
    shares: FloatArray

    def mapped(self, dense: FloatArray) -> FloatArray:
        """Return a vector of the same length in its new direction; zero stays zero.

        Args:
            dense: ``(dim,)`` float32.
        """
        length = np.linalg.norm(dense)
        if not length > 0:
            return dense
        moved = dense / length - self.offset
        moved -= (self.shares * (self.directions @ moved)) @ self.directions
        norm = np.linalg.norm(moved)
        return (moved * (length / norm)).astype(np.float32) if norm > 0 else dense

    def of_queries(self, encodings: Sequence[Encoding]) -> list[Encoding]:
        """Return the encodings of queries with their dense vectors mapped."""
        return [
            encoding
            if encoding.dense is None
            else replace(encoding, dense=self.mapped(encoding.dense))
            for encoding in encodings
        ]


def read_query_map(folder: Path, width: int) -> QueryMap | None:
    """Return the map of a model's folder; None where there is none.

    Args:
        folder: of the model, or of its graphs.
        width: of the dense vectors.

    Raises:
        ModelError: the file is damaged, or belongs to another model.
    """
    file = folder / QUERY_MAP
    if not file.is_file():
        return None
    tensors = read_tensors(file)
    count = len(tensors.get("shares", ()))
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != {"offset": (width,), "directions": (count, width), "shares": (count,)}:
        raise ModelError(
            f"{file} holds {shapes}; it must hold offset ({width},), directions (n, {width}) and "
            "shares (n,): it belongs to another model, or is damaged; remove it or get it again"
        )
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError(f"{file} holds numbers that are not finite; remove it or get it again")
    return QueryMap(tensors["offset"], tensors["directions"], tensors["shares"])
