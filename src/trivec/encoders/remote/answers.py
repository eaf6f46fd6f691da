"""What servers answer, checked and turned into arrays: nothing of theirs is believed unseen."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from trivec.errors import ModelError
from trivec.types import FloatArray

__all__ = ["dense_vectors", "ordered_items", "token_rows", "token_weights"]


def ordered_items(answer: Any, key: str, count: int) -> list[Any]:
    """Return what stands under ``key`` for each text, in the order of the texts.

    Args:
        answer: the JSON: ``{"data": [{"index": 0, key: ...}, ...]}``; without any ``index``, in
            the order of the texts.
        key: ``embedding`` or ``data``.
        count: how many texts were sent.

    Raises:
        ModelError: one is missing, or there are others.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ModelError("the server's answer holds no list 'data'; check the URL")
    places = [item.get("index") for item in data]
    if not any(place is not None for place in places):  # Gemini's are in the order of the texts
        places = list(range(len(data)))
    if len(data) != count or sorted(map(repr, places)) != sorted(map(repr, range(count))):
        raise ModelError(
            f"the server answered {len(data)} of {count} texts, numbered {places[:5]}...; it must "
            "number each text once, from 0"
        )
    if any(key not in item for item in data):
        raise ModelError(f"the server's answer lacks {key!r}; check the endpoint of the URL")
    by_place = dict(zip(places, (item[key] for item in data), strict=True))
    return [by_place[place] for place in range(count)]


def dense_vectors(items: Sequence[Any], dim: int, *, normalize: bool) -> list[FloatArray]:
    """Return the dense vector of each text.

    Raises:
        ModelError: a vector has another size, holds NaN, or is zero.
    """
    return [
        _unit(_floats(item, (dim,), "dense vector"), "dense vector", normalize=normalize)
        for item in items
    ]


def token_weights(item: Any, tokens: int) -> FloatArray:
    """Return a text's weight of each token, special ones included with 0.

    Args:
        item: a weight for every token, or for all but the first and the last: vLLM leaves the
            special tokens out.
        tokens: how many were sent, special ones included.

    Raises:
        ModelError: there are other numbers of weights, or NaN.
    """
    weights = _numbers(item, "token weights").reshape(-1)
    if len(weights) == tokens:
        return weights
    if len(weights) != tokens - 2:
        raise ModelError(
            f"the server gave {len(weights)} weights for {tokens} tokens, two of them special; "
            f"allowed: {tokens - 2} or {tokens}"
        )
    return np.pad(weights, 1)


def token_rows(item: Any, tokens: int, dim: int, *, normalize: bool) -> FloatArray:
    """Return a text's ColBERT rows, of every token but the first.

    Args:
        item: a vector for every token, or for all but the first: vLLM leaves that out, and keeps
            the last, as FlagEmbedding does.
        tokens: how many were sent, special ones included.
        dim: width of a row.
        normalize: give the rows unit length.

    Raises:
        ModelError: there are other numbers of rows, rows of another width, NaN, or zero rows.
    """
    values = _numbers(item, "token vectors").reshape(-1)
    if values.size % dim or values.size // dim not in (tokens, tokens - 1):
        raise ModelError(
            f"the server gave {values.size} numbers for the vectors of {tokens} tokens; allowed: "
            f"{tokens - 1} or {tokens} rows of {dim}"
        )
    rows = values.reshape(-1, dim)[-(tokens - 1) :]
    return _unit(rows, "token vector", normalize=normalize)


def _floats(item: Any, shape: tuple[int, ...], what: str) -> FloatArray:
    values = _numbers(item, what)
    if values.shape != shape:
        raise ModelError(
            f"the server gave a {what} of shape {values.shape}, {shape} was stated; give the "
            "dimension of the model that it serves"
        )
    return values


def _numbers(item: Any, what: str) -> FloatArray:
    """Return numbers that came as JSON, or as base64 of little-endian float32."""
    try:
        if isinstance(item, str):
            values = np.frombuffer(base64.b64decode(item, validate=True), dtype="<f4")
            values = values.astype(np.float32)
        else:
            values = np.array(item, dtype=np.float32)
    except (TypeError, ValueError, binascii.Error) as err:
        raise ModelError(f"the server's {what} are neither numbers nor base64 of float32") from err
    if not np.isfinite(values).all():
        raise ModelError(f"the server's {what} hold NaN or infinity; look into its log")
    return values


def _unit(values: FloatArray, what: str, *, normalize: bool) -> FloatArray:
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    if not lengths.all():
        raise ModelError(f"the server gave a {what} that is zero; look into its log")
    return values / lengths if normalize else values
