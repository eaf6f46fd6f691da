"""What an error repeats of a server's own words."""

from __future__ import annotations

import re

__all__ = ["LONGEST_QUOTE", "quoted"]

LONGEST_QUOTE = 200
"""Characters of a server's own words that are passed on."""

_KEY = re.compile(r"\b(?:sk|key|Bearer)[-_ ][\w*.-]{6,}", re.IGNORECASE)


def quoted(message: str, longest: int = LONGEST_QUOTE) -> str:
    """Return the beginning of a message in one line, without what looks like a key."""
    return _KEY.sub("***", " ".join(message.split()))[:longest]
