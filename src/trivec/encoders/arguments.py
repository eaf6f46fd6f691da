"""What every encoder checks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from trivec._runtime.checks import shown
from trivec.errors import InputError
from trivec.types import ALL_HEADS, Head

__all__ = ["check_arguments"]


def check_arguments(texts: Sequence[str], heads: Sequence[Head]) -> None:
    """Refuse what cannot be encoded.

    Raises:
        InputError: ``texts`` is a single string, an iterator or holds something else, or a head is
            unknown.
    """
    if isinstance(texts, str):
        raise InputError("texts is a single string; give a list of texts")
    is_list = getattr(texts, "ndim", 1) == 1  # of numpy's and pandas' own
    if not isinstance(texts, Sized) or not is_list:  # an iterator would have nothing left to encode
        raise InputError(f"texts is a {type(texts).__name__}; give a list of texts")
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"texts holds a {type(text).__name__}; every text must be a string")
    if isinstance(heads, str) or not heads or not set(heads) <= set(ALL_HEADS):
        raise InputError(f"heads={shown(heads)}; allowed: one or more of {ALL_HEADS}")
