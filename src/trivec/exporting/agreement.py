"""How near an exported graph is to the model that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trivec._models.onnx_folder import Agreement
from trivec.protocols import Encoder, Reranker
from trivec.types import Encoding, FloatArray, SparseVector

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["encoder_agreement", "reranker_agreement"]

_HEAVIEST = 10


def encoder_agreement(exported: Encoder, model: Encoder, texts: Sequence[str]) -> Agreement:
    """Compare two encoders on texts, read as queries and as passages."""
    exported_encodings = [*exported.encode_queries(texts), *exported.encode_documents(texts)]
    model_encodings = [*model.encode_queries(texts), *model.encode_documents(texts)]
    pairs = list(zip(exported_encodings, model_encodings, strict=True))
    dense = [_cosines(one.dense, other.dense).item() for one, other in pairs]
    rows = np.concatenate([_cosines(one.colbert, other.colbert).ravel() for one, other in pairs])
    return Agreement(
        texts=len(texts),
        dense_cosine_mean=_rounded(np.mean(dense)),
        dense_cosine_least=_rounded(min(dense)),
        sparse_top10_shared=_rounded(np.mean([_shared(one, other) for one, other in pairs])),
        sparse_difference=_rounded(max(_difference(one, other) for one, other in pairs)),
        colbert_cosine_mean=_rounded(rows.mean()),
    )


def reranker_agreement(exported: Reranker, model: Reranker, texts: Sequence[str]) -> Agreement:
    """Compare two rerankers: the first text is the query of all."""
    query, *passages = texts
    exported_scores, model_scores = exported.score(query, passages), model.score(query, passages)
    difference = max(
        abs(one - other) for one, other in zip(exported_scores, model_scores, strict=True)
    )
    return Agreement(texts=len(texts), score_difference=_rounded(difference))


def _cosines(first: FloatArray | None, second: FloatArray | None) -> NDArray[np.float64]:
    """Return the cosines of the rows of two arrays."""
    one, other = (np.atleast_2d(np.asarray(matrix, np.float64)) for matrix in (first, second))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines: NDArray[np.float64] = (one * other).sum(axis=1) / np.maximum(lengths, 1e-12)
    return cosines


def _heaviest(encoding: Encoding) -> set[int]:
    return set((encoding.sparse or _NOTHING).top(_HEAVIEST).indices.tolist())


def _shared(first: Encoding, second: Encoding) -> float:
    """Return the share of the model's heaviest tokens that the graph finds as heavy."""
    wanted = _heaviest(second)
    return len(wanted & _heaviest(first)) / len(wanted) if wanted else 1.0


def _difference(first: Encoding, second: Encoding) -> float:
    one, other = ((encoding.sparse or _NOTHING).to_mapping() for encoding in (first, second))
    tokens = one.keys() | other.keys()
    return max((abs(one.get(token, 0) - other.get(token, 0)) for token in tokens), default=0.0)


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 7)


_NOTHING = SparseVector.from_mapping({})
