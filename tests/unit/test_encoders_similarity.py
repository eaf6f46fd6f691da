"""Similarity and explanations over any encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.encoders.similarity import explain, similarity, sparse_scores
from trivec.errors import InputError, ModelError
from trivec.testing import FakeEncoder
from trivec.types import ALL_HEADS, SparseVector

SPARSE = st.dictionaries(st.integers(0, 20), st.floats(0.125, 2, width=32)).map(
    SparseVector.from_mapping
)


@given(st.lists(SPARSE, max_size=4), st.lists(SPARSE, max_size=4))
def test_sparse_scores_are_dot_products(queries, passages):
    expected = np.array([[q.dot(p) for p in passages] for q in queries])
    found = sparse_scores(queries, passages)
    assert found.shape == (len(queries), len(passages))
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-5)


def test_combined_scores_are_weighted_means():
    scores = similarity(FakeEncoder(), ["a b", "c"], ["a", "b c", "d"], weights=(1, 3, 4))
    np.testing.assert_allclose(scores.sparse_dense, (scores.dense + 3 * scores.sparse) / 4)
    np.testing.assert_allclose(
        scores.all, (scores.dense + 3 * scores.sparse + 4 * scores.colbert) / 8, rtol=1e-6
    )
    assert scores.colbert.max() <= 1 + 1e-6  # the mean over the query's rows, not the sum


@pytest.mark.parametrize(("queries", "passages"), [([], ["a"]), (["a"], []), ([], [])])
def test_nothing_to_score(queries, passages):
    scores = similarity(FakeEncoder(), queries, passages)
    for matrix in (scores.dense, scores.sparse, scores.colbert, scores.sparse_dense, scores.all):
        assert matrix.shape == (len(queries), len(passages))


@pytest.mark.parametrize("weights", [(1, 1), (0, 0, 1), (-1, 2, 1), (1, 1, 1, 1)])
def test_weights_without_a_mean(weights):
    with pytest.raises(InputError, match="weights"):
        similarity(FakeEncoder(), ["a"], ["b"], weights=weights)


def test_explanation_is_heaviest_first():
    terms = explain(FakeEncoder(), "fox fox fox dog", "dog fox cat")
    assert [term.term for term in terms] == ["fox", "dog"]
    assert {term.arm for term in terms} == {"sparse"}
    assert terms[0].score > terms[1].score > 0


@pytest.mark.parametrize("blank", ["▁", "", " ", "\u200b"])
def test_tokens_that_show_nothing_are_no_explanation(blank):
    class Spaced(FakeEncoder):
        def decode_tokens(self, ids):
            return [blank if text == "fox" else text for text in super().decode_tokens(ids)]

    assert [term.term for term in explain(Spaced(), "fox fox dog", "dog fox")] == ["dog"]


@pytest.mark.parametrize("head", ["dense", "sparse", "colbert"])
def test_encoder_without_a_head(head):
    class Partial(FakeEncoder):
        def encode_queries(self, texts, *, heads=ALL_HEADS):
            found = super().encode_queries(texts, heads=heads)
            return [replace(each, **{head: None}) for each in found]

    with pytest.raises(ModelError, match=head):
        similarity(Partial(), ["a"], ["b"])
