"""The goals of the benchmark of exported models: which work misses one."""

from __future__ import annotations

import pytest
from benchmarks._speed import Limit, Speed, Work, each_between

from trivec._models.onnx_measuring import measure


@pytest.mark.parametrize(
    ("settings", "missed"),
    [
        ({}, False),
        ({"least_ratio": 12}, False),
        ({"least_ratio": 12.1}, True),
        ({"share": 0.8, "least_share": 0.8}, False),
        ({"share": 0.79, "least_share": 0.8}, True),
        ({"least_share": 0.8}, True),  # nobody measured it
        ({"share": 0.9, "least_share": 0.8, "least_ratio": 13}, True),
    ],
)
def test_a_goal_is_missed(settings, missed):
    assert Work("query", ours=0.01, theirs=0.12, **settings).missed is missed


def test_the_share_is_of_what_was_possible_around_the_work():
    limits = iter([100.0, 300.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0])
    speed = Speed(1000, lambda: next(limits), 0.8)
    for seconds, share in speed.times_and_shares(lambda: None, 1):
        assert share == pytest.approx(1000 / seconds / 200)
    (row,) = each_between(lambda: None, {"theirs": lambda: None}, speed)
    assert row.what == "theirs"
    assert row.share > row.least_share == 0.8


def test_the_limit_is_of_an_exact_layout():
    assert Limit([measure().layout], size=(8, 64, 128))() > 0
