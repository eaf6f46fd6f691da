"""How a long document is shared out among windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trivec.encoders.spans import _windows

SPAN = st.tuples(st.integers(0, 400), st.integers(0, 60)).map(lambda s: (s[0], s[0] + s[1]))


@given(ranges=st.lists(SPAN, min_size=1, max_size=40), room=st.integers(1, 120))
def test_every_passage_is_taken_once_and_whole_where_it_fits(ranges, room):
    tokens = 470
    windows = _windows(ranges, tokens, room)
    taken = [part for window in windows for part in window.parts]
    assert sorted(number for number, *_ in taken) == list(range(len(ranges)))
    for window in windows:
        assert 0 <= window.start <= window.end <= tokens
        assert window.end - window.start <= room
        for number, first, last, cut in window.parts:
            start, end = ranges[number]
            assert first + window.start == start
            assert first >= 0
            assert cut == (end > window.end)
            assert last + window.start == min(end, window.end)
            if end - start <= room - room // 4:
                assert not cut


def test_a_document_that_fits_is_one_window():
    (window,) = _windows([(0, 5), (5, 9)], 9, 9)
    assert (window.start, window.end) == (0, 9)


def test_context_lies_on_both_sides():
    windows = _windows([(0, 50), (50, 100), (100, 150)], 150, 80)
    middle = windows[1]
    assert middle.start < 50
    assert middle.end > 100
