"""A deterministic encoder without a model."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trivec._runtime.checks import check_least
from trivec._runtime.typed import checked
from trivec.encoders.arguments import check_arguments
from trivec.errors import InputError
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, FloatArray, Head, SparseVector

__all__ = ["FakeEncoder"]

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_END = "</s>"
_SPECIAL_TOKENS = 2  # begin and end
CONTEXT_WEIGHT = 0.5


class FakeEncoder:
    """An :class:`~trivec.protocols.Encoder` for tests: no model, no download, no torch.

    Tokens are lower-cased words and single CJK characters. Each token has a fixed random unit
    vector, so texts that share tokens are similar and others are nearly orthogonal; meaning beyond
    shared tokens is not modelled. Nothing is random between runs or machines.

    - ``dense``: the normalised sum of the token vectors, of an end token besides.
    - ``sparse``: a hash of each token, weighted ``1 + ln(count)``; equal hashes keep the greater.
    - ``colbert``: one row for each token and one for the end, so that no text is without.

    Late chunking adds half of the document's dense vector to each passage's own.

    Args:
        dim: width of the dense vector and of a ColBERT row.
        vocabulary: sparse indices lie below it.
        max_length: tokens read of a text, two special ones included; the rest is cut off.
        name: the model's name in :attr:`info`. Encoders of different names have different
            vectors and different fingerprints.

    Attributes:
        calls: how many forward passes were asked for; an empty list of texts needs none.

    Raises:
        InputError: a dimension or length that leaves no room for a token.

    Example:
        >>> encoder = FakeEncoder()
        >>> encoder.encode_queries(["你好 world"])[0].dense.shape
        (64,)
    """

    @checked
    def __init__(
        self,
        dim: int = 64,
        *,
        vocabulary: int = 250_002,
        max_length: int = 8192,
        name: str = "fake",
    ) -> None:
        check_least("dim", dim, 1)
        check_least("vocabulary", vocabulary, 1)
        check_least("max_length", max_length, _SPECIAL_TOKENS + 1)
        self.calls = 0
        self._dim = dim
        self._vocabulary = vocabulary
        self._max_length = max_length
        self._name = name
        self._rows: dict[str, FloatArray] = {}
        self._tokens: dict[int, str] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors."""
        weights = hashlib.sha256(f"{self._name}/{self._dim}/{self._vocabulary}".encode())
        return EncoderInfo(
            model=self._name,
            weights=weights.hexdigest(),
            tokenizer=hashlib.sha256(str(self._vocabulary).encode()).hexdigest(),
            dense_dim=self._dim,
            colbert_dim=self._dim,
            pooling="mean",
            max_length=self._max_length,
        )

    @checked
    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages, one counted forward for all heads."""
        return self._encode(texts, heads)

    @checked
    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries, exactly as passages."""
        return self._encode(texts, heads)

    @checked
    def encode_long(
        self,
        document: str,
        spans: Sequence[tuple[int, int]],
        *,
        heads: Sequence[Head] = ALL_HEADS,
    ) -> list[Encoding]:
        """Encode the spans of a document; each dense vector leans towards the whole document's."""
        if not spans:
            return []
        for start, end in spans:
            if not 0 <= start < end <= len(document):
                raise InputError(f"the span ({start}, {end}) does not lie in the document")
        whole, *parts = self._encode([document, *(document[a:b] for a, b in spans)], ALL_HEADS)
        return [self._in_context(part, whole, heads) for part in parts]

    @checked
    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices; those this encoder never made are ``<unknown>``."""
        with self._lock:
            return [self._tokens.get(index, "<unknown>") for index in ids]

    def _encode(self, texts: Sequence[str], heads: Sequence[Head]) -> list[Encoding]:
        check_arguments(texts, heads)
        if not texts:
            return []
        with self._lock:
            self.calls += 1
            return [self._encode_one(text, heads) for text in texts]

    def _encode_one(self, text: str, heads: Sequence[Head]) -> Encoding:
        tokens = _TOKEN.findall(text.lower())
        room = self._max_length - _SPECIAL_TOKENS
        truncated, tokens = len(tokens) > room, tokens[:room]
        rows = np.stack([self._row(token) for token in [*tokens, _END]])
        dense = rows.sum(axis=0)
        return Encoding(
            dense=dense / np.linalg.norm(dense) if "dense" in heads else None,
            sparse=self._sparse(tokens) if "sparse" in heads else None,
            colbert=rows if "colbert" in heads else None,
            tokens=len(tokens) + _SPECIAL_TOKENS,
            truncated=truncated,
        )

    def _in_context(self, part: Encoding, whole: Encoding, heads: Sequence[Head]) -> Encoding:
        if part.dense is None or whole.dense is None:  # both were asked for
            raise AssertionError
        leaning = part.dense + CONTEXT_WEIGHT * whole.dense
        return replace(
            part,
            dense=leaning / np.linalg.norm(leaning) if "dense" in heads else None,
            sparse=part.sparse if "sparse" in heads else None,
            colbert=part.colbert if "colbert" in heads else None,
        )

    def _row(self, token: str) -> FloatArray:
        """Return the unit vector of a token."""
        row = self._rows.get(token)
        if row is None:
            generator = np.random.default_rng(self._hash(token))
            row = generator.standard_normal(self._dim).astype(np.float32)
            row /= np.linalg.norm(row)
            self._rows[token] = row
        return row

    def _sparse(self, tokens: Sequence[str]) -> SparseVector:
        weights: dict[int, float] = {}
        for token, count in Counter(tokens).items():
            index = self._hash(token) % self._vocabulary
            self._tokens[index] = token
            weights[index] = max(weights.get(index, 0.0), 1.0 + float(np.log(count)))
        return SparseVector.from_mapping(weights)

    def _hash(self, token: str) -> int:
        # surrogatepass: whatever text a test brings, the encoder takes
        text = f"{self._name}/{token}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
