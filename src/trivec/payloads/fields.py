"""Where the engine finds a metadata value, and what it cannot compare, kept once more as text.

Qdrant reads payloads with a quick parser: a float of 17 digits may be off in the last place, and
integers from 2**63 are no integers to its filters. Its paths cannot name a key with a quote or a
backslash, and a payload layout may hide a key behind one of its own. Such values are stored a
second time as *tokens*: ``["lat", 25.643769918316394]`` as JSON text, in a list among trivec's
own fields. A filter compares tokens by equality, which is exact in every store.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "Field",
    "is_exact",
    "key_path",
    "metadata_field",
    "presence_token",
    "tokens",
    "value_token",
]

EXACT_INTEGERS = 2**53
"""Below this every integer is a float of its own."""

LARGEST_MATCHED = 2**63 - 1
"""The largest integer that Qdrant matches."""

LONGEST_TOKEN = 256
"""Characters; a longer token is stored as its sha256."""

_EXACT_POWERS = 22
"""10**22 is the largest power of ten that is a float."""

_UNQUOTABLE = re.compile(r'["\\]')
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SEGMENT = re.compile(r'(?:([\w-]+)|"([^"\\]*)")((?:\[\d*\])*)')

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A key of the metadata as a filter names it.

    A key such as ``a.b`` may be meant as one key or as a path into an object; it is both.

    Attributes:
        key: as it was written.
        paths: the payload paths of its values, every one in Qdrant's syntax.
        names: the keys of its values in tokens, one tuple a meaning; indices of lists left out.
        tokens: the payload path of the tokens; None where the points have none.
        hidden: no path leads to the value; its tokens alone count.
        fallback: what counts where the field has no value.
    """

    key: str
    paths: tuple[str, ...]
    names: tuple[tuple[str, ...], ...] = ()
    tokens: str | None = None
    hidden: bool = False
    fallback: Field | None = None


def key_path(key: str) -> str | None:
    """Return Qdrant's path of one key; None where its syntax has none."""
    if _PLAIN.fullmatch(key):
        return key
    return None if _UNQUOTABLE.search(key) else f'"{key}"'


def metadata_field(key: str, prefix: str, tokens: str | None) -> Field:
    """Return the field of a metadata key.

    Args:
        key: as a filter names it.
        prefix: what stands before it in payload paths, such as ``metadata.``.
        tokens: the payload path of the points' tokens.
    """
    literal = key_path(key)
    paths = [] if literal is None else [prefix + literal]
    names: list[Names] = [(key,)]
    if (inner := _inner(key)) is not None and inner != (key,):
        paths.append(prefix + key)
        names.append(inner)
    return Field(key, tuple(paths), tuple(names), tokens, hidden=literal is None)


def _inner(key: str) -> Names | None:
    """Return the names that a key means as a path into objects; None where it is no path."""
    names = []
    at = 0
    while match := _SEGMENT.match(key, at):
        names.append(match[1] if match[1] is not None else match[2])
        at = match.end()
        if at == len(key):
            return tuple(names)
        if key[at] != ".":
            return None
        at += 1
    return None


def is_exact(value: float) -> bool:
    """Say whether Qdrant's parser gives a number back as it was.

    It reads all digits as one integer and scales it by a power of ten, which is right to the last
    place where both are floats themselves (W. D. Clinger, 1990, "How to read floating point
    numbers accurately").
    """
    if isinstance(value, int):
        return -EXACT_INTEGERS < value < EXACT_INTEGERS
    mantissa, _, exponent = repr(abs(float(value))).partition("e")  # not as numpy writes it
    whole, _, fraction = mantissa.partition(".")
    scale = int(exponent or 0) - len(fraction)
    return int(whole + fraction) <= EXACT_INTEGERS and abs(scale) <= _EXACT_POWERS


def tokens(metadata: Mapping[str, Any], hidden: Collection[str] = ()) -> list[str]:
    """Return the tokens of what the engine cannot compare or reach; most metadata has none.

    Args:
        metadata: JSON values.
        hidden: keys that the payload layout keeps for itself.
    """
    listed: dict[str, None] = {}
    for key, value in metadata.items():
        if type(value) is str and key not in hidden and not _UNQUOTABLE.search(key):
            continue  # most values are so
        listed.update(dict.fromkeys(_tokens((key,), value, unreachable=key in hidden)))
    return list(listed)


def _tokens(names: Names, value: Any, *, unreachable: bool) -> Iterator[str]:
    unreachable = unreachable or _UNQUOTABLE.search(names[-1]) is not None
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tokens((*names, key), item, unreachable=unreachable)
    elif isinstance(value, list):
        for item in value:
            yield from _tokens(names, item, unreachable=unreachable)
    elif value is None:
        return
    elif unreachable:
        yield presence_token(names)
        yield value_token(names, value)
    elif not _is_comparable(value):
        yield value_token(names, value)


def _is_comparable(value: Any) -> bool:
    if isinstance(value, bool | str):
        return True
    if isinstance(value, float):
        return is_exact(value) and abs(value) < EXACT_INTEGERS
    return bool(value <= LARGEST_MATCHED)


def value_token(names: Names, value: Any) -> str:
    """Return the token of a value; numbers that are equal have the same."""
    if isinstance(value, float) and value.is_integer() and math.isfinite(value):
        value = int(value)
    return _short(json.dumps([*names, value], ensure_ascii=False))


def presence_token(names: Names) -> str:
    """Return the token that says that there is a value at all."""
    return _short(json.dumps({"names": names}, ensure_ascii=False))


def _short(token: str) -> str:
    if len(token) <= LONGEST_TOKEN:
        return token
    return hashlib.sha256(token.encode()).hexdigest()
