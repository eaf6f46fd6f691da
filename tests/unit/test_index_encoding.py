"""More ColBERT rows than a point can hold: pooled, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from trivec import Chunk, Encoding, HybridIndex, IndexConfig, Refusal
from trivec.index import encoding
from trivec.index.encoding import fit_colbert
from trivec.testing import FakeEncoder, MemoryStore

WIDTH = 4


def with_rows(rows):
    return Encoding(colbert=np.ones((rows, WIDTH), dtype=np.float32))


@pytest.fixture
def most(monkeypatch):
    """Points that hold ten rows at most: Qdrant wants fewer floats than this, not as many."""
    monkeypatch.setattr(encoding, "MAX_MULTIVECTOR_FLOATS", 11 * WIDTH)
    return 10


@pytest.mark.parametrize("overflow", ["pool", "refuse"])
def test_rows_that_fit_stay_as_they_are(most, overflow):
    for fitting in (Encoding(), with_rows(0), with_rows(most)):
        assert fit_colbert(fitting, overflow) is fitting


@pytest.mark.parametrize("beyond", [1, 2, 30])
def test_rows_that_do_not_fit_are_pooled_or_refused(most, beyond):
    assert fit_colbert(with_rows(most + beyond), "refuse") is None
    pooled = fit_colbert(with_rows(most + beyond), "pool")
    assert pooled.colbert.shape == (most, WIDTH)


def test_a_refusal_says_how_many_rows_fit(monkeypatch):
    encoder = FakeEncoder()
    width = encoder.info.colbert_dim
    monkeypatch.setattr(encoding, "MAX_MULTIVECTOR_FLOATS", 11 * width)
    config = IndexConfig(arms=("dense", "colbert"), colbert_overflow="refuse")
    index = HybridIndex.open(MemoryStore(), encoder, config=config)
    [long] = encoder.encode_documents(["word " * 100])
    report = index.add([Chunk("word " * 100, id="long"), Chunk("word", id="short")])
    assert report.added == 1
    [refusal] = report.refused
    assert refusal == Refusal(
        "long",
        f"{len(long.colbert)} ColBERT rows of {width}, Qdrant takes 10; "
        "split the text, or use colbert_overflow='pool'",
    )
