"""The benchmark of the client's own time runs, by REST and gRPC."""

import pytest
from benchmarks.client import measure


@pytest.mark.enable_socket  # its server is on this machine
def test_every_row_is_measured():
    searches, adding = measure(points=40, searches=2)
    assert len(searches) == 8
    assert len(adding) == 4
    assert all(row.ours > 0 and row.bare > 0 for row in searches)
    assert all(min(row.ours) > 0 for row in adding)
    assert [row.goal for row in searches] == [1.0, 2.0, None, None] * 2
