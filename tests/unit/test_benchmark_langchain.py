"""The benchmark measures the same job on both sides."""

import pytest
from benchmarks.langchain_store import K, measure, overlap


@pytest.mark.filterwarnings("ignore:Local mode is not recommended")
def test_both_stores_find_the_same():
    timings = measure(points=40, queries=3)
    ours, theirs = timings["trivec"], timings["langchain-qdrant"]
    assert all(len(found) == K for found in (*ours.found, *theirs.found))
    assert overlap(ours, theirs) >= 0.9  # equal ranks in both lists may fall either way
    assert ours.ingest > 0
    assert ours.query > 0
    assert len(theirs.queries) == 3
