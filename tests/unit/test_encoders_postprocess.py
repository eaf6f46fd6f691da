"""The vectorised post-processing equals the plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trivec.encoders import postprocess
from trivec.encoders.postprocess import multivectors, sparse_vectors

UNUSED = np.array([0, 1, 2, 3])

TOKENS = st.tuples(
    st.integers(0, 12) | st.integers(0, 250_001),
    st.floats(-2, 2, width=32) | st.just(float("nan")),
)


def plain_loop(tokens):
    """State the rule as FlagEmbedding does: positive, no special token, highest wins."""
    best = {}
    for token, weight in tokens:
        if token not in UNUSED and weight > best.get(token, 0):
            best[token] = weight
    return best


@given(st.lists(st.lists(TOKENS, max_size=60), min_size=1, max_size=6))
def test_equals_the_plain_loop(texts):
    flat = [pair for text in texts for pair in text]
    vectors = sparse_vectors(
        np.array([token for token, _ in flat], dtype=np.int64),
        np.array([weight for _, weight in flat], dtype=np.float32),
        np.array([len(text) for text in texts]),
        UNUSED,
    )
    assert [vector.to_mapping() for vector in vectors] == [plain_loop(text) for text in texts]
    for vector in vectors:
        assert vector.indices.dtype == np.uint32
        assert vector.values.dtype == np.float32
        assert vector.indices.tolist() == sorted(set(vector.indices.tolist()))


def test_more_cells_than_a_key_holds_are_split(monkeypatch):
    random = np.random.default_rng(0)
    batch = (
        random.integers(0, 50, 300),
        random.normal(size=300).astype(np.float32),
        np.full(30, 10),
        UNUSED,
    )
    whole = sparse_vectors(*batch)
    monkeypatch.setattr(postprocess, "_MOST_CELLS", 400)
    assert sparse_vectors(*batch) == whole


def test_a_batch_too_large_for_one_key_is_halved():
    """Text, token and weight lie in one signed 64-bit key: here not even two texts fit."""
    last = 2**31 - 1
    vectors = sparse_vectors(
        np.array([last, 5] * 5),
        np.arange(1, 11, dtype=np.float32),
        np.full(5, 2),
        UNUSED,
    )
    assert [vector.to_mapping() for vector in vectors] == [
        {5: 2.0 * text + 2, last: 2.0 * text + 1} for text in range(5)
    ]


def test_multivectors_are_cut_in_order_and_own_their_memory():
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    parts = multivectors(rows, np.array([1, 0, 3, 2]))
    assert [len(part) for part in parts] == [1, 0, 3, 2]
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    assert not any(np.shares_memory(part, rows) for part in parts if len(part))
