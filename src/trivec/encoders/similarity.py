"""Scores between texts by all three heads, and the tokens behind the sparse one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trivec._runtime.checks import shown
from trivec.colbert import max_sim
from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder
from trivec.text import is_blank
from trivec.types import Encoding, FloatArray, MatchedTerm, SparseVector

__all__ = ["Similarity", "explain", "matched_terms", "shows", "similarity", "sparse_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Score matrices ``(queries, passages)`` float32, named as in FlagEmbedding.

    Attributes:
        dense: dot products of the dense vectors.
        sparse: dot products of the sparse vectors.
        colbert: mean over the query's rows of the best passage row.
        sparse_dense: weighted mean of the two.
        all: weighted mean of all three.
    """

    dense: FloatArray
    sparse: FloatArray
    colbert: FloatArray
    sparse_dense: FloatArray
    all: FloatArray


def similarity(
    encoder: Encoder,
    queries: Sequence[str],
    passages: Sequence[str],
    *,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Similarity:
    """Score every query against every passage, as FlagEmbedding's ``compute_score`` does.

    Args:
        encoder: an encoder with all three heads.
        queries: any number of queries.
        passages: any number of passages.
        weights: of dense, sparse and ColBERT in the combined scores, which are weighted means.

    Raises:
        InputError: the weights are not three numbers whose means exist.
        ModelError: the encoder lacks a head.
    """
    if len(weights) != 3 or min(weights) < 0 or weights[0] + weights[1] <= 0:
        raise InputError(
            f"weights={shown(weights)}; give three of at least 0 for dense, sparse and ColBERT, "
            "the first two not both 0"
        )
    asked = encoder.encode_queries(queries)
    documents = encoder.encode_documents(passages)
    shape = (len(asked), len(documents))
    dense = np.zeros(shape, dtype=np.float32)
    if asked and documents:
        np.matmul(_stacked(asked), _stacked(documents).T, out=dense)
    sparse = sparse_scores(
        [_sparse(encoding) for encoding in asked], [_sparse(encoding) for encoding in documents]
    )
    rows = [_colbert(encoding) for encoding in documents]
    colbert = np.zeros(shape, dtype=np.float32)
    for index, encoding in enumerate(asked):
        query = _colbert(encoding)
        colbert[index] = max_sim(query, rows) / max(len(query), 1)
    dense_weight, sparse_weight, colbert_weight = weights
    two = dense_weight * dense + sparse_weight * sparse
    three = two + colbert_weight * colbert
    both = dense_weight + sparse_weight
    return Similarity(
        dense=dense,
        sparse=sparse,
        colbert=colbert,
        sparse_dense=np.asarray(two / both, dtype=np.float32),
        all=np.asarray(three / (both + colbert_weight), dtype=np.float32),
    )


def explain(encoder: Encoder, query: str, passage: str) -> tuple[MatchedTerm, ...]:
    """Return the tokens that query and passage share in the sparse head, heaviest first.

    The scores sum to the sparse similarity, but for tokens that show nothing, such as a space.
    """
    asked = encoder.encode_queries([query], heads=("sparse",))[0]
    document = encoder.encode_documents([passage], heads=("sparse",))[0]
    return matched_terms(encoder, _sparse(asked), _sparse(document))


def matched_terms(
    encoder: Encoder, query: SparseVector, passage: SparseVector
) -> tuple[MatchedTerm, ...]:
    """Return what two sparse vectors of an encoder share, heaviest first.

    Tokens that show nothing are left out.
    """
    shared, query_places, passage_places = np.intersect1d(
        query.indices, passage.indices, assume_unique=True, return_indices=True
    )
    scores = query.values[query_places] * passage.values[passage_places]
    order = np.argsort(-scores, kind="stable")
    texts = encoder.decode_tokens(shared[order].tolist())
    return tuple(
        MatchedTerm("sparse", text, score)
        for text, score in zip(texts, scores[order].tolist(), strict=True)
        if shows(text)
    )


def shows(token: str) -> bool:
    """Say whether a token has anything to see: a space, which is written ``▁``, has not."""
    return not is_blank(token.replace("▁", ""))


def sparse_scores(queries: Sequence[SparseVector], passages: Sequence[SparseVector]) -> FloatArray:
    """Return the dot products ``(queries, passages)`` of sparse vectors."""
    if not queries:
        return np.zeros((0, len(passages)), dtype=np.float32)
    # only columns that some query has can add to a score
    columns = np.unique(np.concatenate([query.indices for query in queries]))
    return np.asarray(_spread(queries, columns) @ _spread(passages, columns).T, dtype=np.float32)


def _spread(vectors: Sequence[SparseVector], columns: np.ndarray) -> FloatArray:
    matrix = np.zeros((len(vectors), len(columns)), dtype=np.float32)
    for row, vector in zip(matrix, vectors, strict=True):
        _, passage_places, query_places = np.intersect1d(
            columns, vector.indices, assume_unique=True, return_indices=True
        )
        row[passage_places] = vector.values[query_places]
    return matrix


def _stacked(encodings: Sequence[Encoding]) -> FloatArray:
    vectors = [encoding.dense for encoding in encodings if encoding.dense is not None]
    if len(vectors) < len(encodings):
        raise _lacks("dense")
    return np.stack(vectors)


def _sparse(encoding: Encoding) -> SparseVector:
    if encoding.sparse is None:
        raise _lacks("sparse")
    return encoding.sparse


def _colbert(encoding: Encoding) -> FloatArray:
    if encoding.colbert is None:
        raise _lacks("colbert")
    return encoding.colbert


def _lacks(head: str) -> ModelError:
    return ModelError(f"the encoder gave no {head} vectors; use one with dense, sparse and colbert")
