"""The checks of options: what passes, and the one wording of each mistake."""

import math
from typing import Literal

import numpy as np
import pytest

from trivec._runtime.checks import check_choice, check_least, check_number
from trivec.errors import InputError

Side = Literal["left", "right"]


def test_what_is_allowed_passes():
    check_choice("side", "left", Side)
    check_choice("side", None, Side, or_none=True)
    check_least("count", np.int64(3), 3)
    check_least("count", None, 3, or_none=True)
    check_number("weight", 0, least=0)
    check_number("weight", np.float32(0.5), above=0, below=1)
    check_number("weight", None, least=0, or_none=True)
    check_number("weight", -1.5)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_choice("side", "up", Side), "side='up'; allowed: left, right"),
        (lambda: check_choice("side", None, Side), "side=None; allowed: left, right"),
        (lambda: check_choice("side", 1, Side, or_none=True), "side=1; allowed: left, right, None"),
        (lambda: check_least("count", 2, 3), "count=2; it must be an integer of at least 3"),
        (lambda: check_least("count", 3.0, 3), "count=3.0; it must be an integer of at least 3"),
        (
            lambda: check_least("count", 2**64, 3),
            r"count=18446744073709551616; .* at most 2\*\*53",
        ),
        (lambda: check_least("count", None, 3), "count=None; it must be an integer"),
        (lambda: check_least("count", 2, 3, or_none=True), "of at least 3, or None"),
        (
            lambda: check_number("weight", -1, least=0),
            "weight=-1; it must be a number of at least 0",
        ),
        (lambda: check_least("count", True, 1), "count=True; it must be an integer"),
        (lambda: check_number("weight", True, least=0), "weight=True; it must be a number"),
        (lambda: check_number("weight", "1"), "weight='1'; it must be a number"),
        (lambda: check_number("weight", "1", or_none=True), "it must be a number, or None"),
        (lambda: check_number("weight", math.nan, least=0), "weight=nan"),
        (lambda: check_number("weight", "1", least=0), "weight='1'"),
        (lambda: check_number("weight", 0, above=0), "weight=0; it must be a number above 0"),
        (
            lambda: check_number("weight", 1.0, least=-1, below=1),
            "weight=1.0; it must be a number of at least -1 and below 1",
        ),
        (
            lambda: check_number("weight", 1.5, least=0, most=1, or_none=True),
            "weight=1.5; it must be a number of at least 0 and at most 1, or None",
        ),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(check, message):
    with pytest.raises(InputError, match=message):
        check()
