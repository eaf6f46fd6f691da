r"""Texts from outside, shown so that they steer neither a terminal nor a page's direction."""

from __future__ import annotations

import re

__all__ = ["STEERING", "shown"]

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but the tab and the line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # the direction of writing
    "\u2028\u2029\ufff9-\ufffb\ud800-\udfff]"  # line and paragraph ends, annotations, surrogates
)


def shown(text: str) -> str:
    r"""Return a text that steers no terminal: control characters become ``\x1b`` and the like.

    The tab and the line feed stay.
    """
    return STEERING.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
