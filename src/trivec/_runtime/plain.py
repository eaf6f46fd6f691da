"""Values that programs keep in metadata, as JSON holds them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec._runtime.checks import check_depth, shown
from trivec.errors import InputError

if TYPE_CHECKING:
    from trivec.types import EncoderInfo

__all__ = ["fingerprint_name", "json_values", "own_text", "plain_values"]


def fingerprint_name(info: EncoderInfo) -> str:
    """Return a name for what an encoder gives: the model's, and a digest of all of its ``info``.

    It is safe in a file's name, and a cache that is keyed by it holds one model's vectors alone.
    """
    said = json.dumps(asdict(info), sort_keys=True, default=str)
    model = re.sub(r"[^A-Za-z0-9_.-]+", "-", PurePath(info.model).name)[:64].strip("-.")
    return f"{model}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def own_text(value: object) -> str:
    """Return a text's own characters: of an enumeration's member, ``str`` gives the name instead.

    What is no text becomes what ``str`` says of it.
    """
    return str.__str__(value) if isinstance(value, str) else str(value)


_PLAIN = (str, int, float, bool)

_LEVELS = 64
"""How deep values are looked into: deeper than an index stores, so that it refuses them by name."""


def plain_values(value: Any, levels: int = _LEVELS) -> Any:  # noqa: PLR0911  # one for each type
    """Return a value in which nothing is left of the types that programs keep beside JSON's.

    Sets become sorted lists, and numpy's numbers and arrays Python's. All else becomes what
    pydantic writes for it: dates and times ISO 8601 text, UUIDs, Decimals and paths text,
    enumerations their values, dataclasses and models dicts. What it cannot write stays, for the
    index to refuse by name, and so does what lies deeper than ``levels``.
    """
    if not levels:
        return value
    match value:
        case Mapping():
            return {key: plain_values(item, levels - 1) for key, item in value.items()}
        case list() | tuple():
            return [plain_values(item, levels - 1) for item in value]
        case set() | frozenset():
            return sorted(
                (plain_values(item, levels - 1) for item in value),
                key=partial(json.dumps, default=repr),
            )
        case np.generic() | np.ndarray():
            plain = value.tolist()
            return value if isinstance(plain, np.generic) else plain_values(plain, levels - 1)
        case PurePath():
            return str(value)  # pydantic knows the paths of this platform alone
    return value if value is None or type(value) in _PLAIN else _by_pydantic(value)


def _by_pydantic(value: Any) -> Any:
    """Return a value as pydantic writes it in JSON; one that it cannot write as it is.

    It is installed with qdrant-client, LangChain and LlamaIndex.
    """
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if isinstance(value, Iterator | bytes | bytearray | complex):
        return value  # to look at an iterator would use it up; bytes and complex are not text
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError):
        return value


def json_values(value: Any, path: str, levels: int) -> Any:
    """Return the value as JSON would give it back: tuples as lists, strings cleaned of surrogates.

    Raises:
        InputError: a value that JSON or Qdrant cannot hold; the message names its path. Or it is
            nested more than ``levels`` deep.
    """
    check_depth(path, value, levels)
    return _json_values(value, path)


def _json_values(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        plain = type(value) is str and value.isascii()
        return value if plain else value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, int | float):
        return _json_number(value, path)
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"{path} has the key {shown(odd[0])}, allowed: strings")
        return {
            _json_values(key, path): item
            if item is None or (type(item) is str and item.isascii())  # else its path costs most
            else _json_values(item, f"{path}.{_named(key)}")
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_json_values(item, f"{path}[{at}]") for at, item in enumerate(value)]
    raise InputError(
        f"{path} is a {type(value).__name__}, allowed: str, int, float, bool, None, list, dict"
    )


def _json_number(value: float, path: str) -> float:
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise InputError(
                f"{path} is {shown(value)}, allowed: integers of 64 bits; give it as text"
            )
        return int(value)
    if not math.isfinite(value):
        raise InputError(f"{path} is {value}, which JSON cannot hold; leave it out")
    return float(value)


def _named(key: str) -> str:
    """Return a key as a path shows it."""
    return key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"


_LONGEST_KEY = 60
