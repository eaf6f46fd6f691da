"""MaxSim and pooling against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.colbert import max_sim, pool_rows
from trivec.errors import InputError


def unit_rows(count, dim=4, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(0, 5), st.lists(st.integers(0, 6), max_size=5))
def test_max_sim_is_the_sum_of_best_rows(query_rows, counts):
    query = unit_rows(query_rows)
    passages = [unit_rows(count, seed=number) for number, count in enumerate(counts)]
    expected = [
        sum(max(float(q @ p) for p in passage) for q in query) if len(passage) else 0.0
        for passage in passages
    ]
    np.testing.assert_allclose(max_sim(query, passages), expected, atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 50))
def test_pooling_leaves_as_many_unit_rows_as_allowed(count, most):
    pooled = pool_rows(unit_rows(count), most)
    assert pooled.shape == (min(count, most), 4)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-5)


def test_pooling_merges_the_most_alike_neighbours():
    x, y, z = np.eye(3, dtype=np.float32)
    pooled = pool_rows(np.stack([x, x, y, z, z, z]), 3)
    np.testing.assert_allclose(pooled, np.stack([x, y, z]), atol=1e-6)


def test_pooling_of_few_rows_changes_nothing():
    rows = unit_rows(3)
    assert pool_rows(rows, 3) is rows


def test_pooling_to_nothing_is_refused():
    with pytest.raises(InputError, match="most=0"):
        pool_rows(unit_rows(3), 0)
