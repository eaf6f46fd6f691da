"""Searching a collection that was written in float32 by the same model in another precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trivec.errors import CollectionError, FingerprintMismatchError
from trivec.protocols import Encoder
from trivec.schema import Schema
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

__all__ = ["LEAST_COSINE", "LEAST_SHARED", "QueryEncoder", "query_encoder"]

LEAST_COSINE = 0.995
"""The least mean cosine of dense vectors with the model's own."""
LEAST_SHARED = 0.9
"""The least share of a text's ten heaviest tokens that are the model's own."""
_WRITTEN_IN = "fp32"  # what an export is compared with


class QueryEncoder:
    """An encoder for queries alone, whose vectors are taken for those of another precision.

    Args:
        encoder: what computes.
        precision: what it stands in for.
    """

    def __init__(self, encoder: Encoder, precision: str) -> None:
        self._encoder = encoder
        self._precision = precision

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors that these are compared with."""
        return replace(self._encoder.info, precision=self._precision)

    def encode_documents(
        self,
        texts: Sequence[str],  # noqa: ARG002  # the protocol's
        *,
        heads: Sequence[Head] = ALL_HEADS,  # noqa: ARG002
    ) -> list[Encoding]:
        """Refuse: a collection's passages are of one precision.

        Raises:
            CollectionError: always.
        """
        raise CollectionError(
            f"the index is open for searching with an encoder in {self._encoder.info.precision}, "
            f"and its passages are in {self._precision}; open it with an encoder in "
            f"{self._precision} to add to it"
        )

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries."""
        return self._encoder.encode_queries(texts, heads=heads)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices."""
        return self._encoder.decode_tokens(ids)

    def __repr__(self) -> str:
        return f"QueryEncoder({self._encoder!r}, {self._precision!r})"


def query_encoder(encoder: Encoder, stored: Schema, place: str) -> Encoder:
    """Return an encoder that may search a collection of float32 vectors.

    Args:
        encoder: of any precision; one of the collection's own is returned as it is.
        stored: what the collection holds.
        place: its name, for messages.

    Raises:
        FingerprintMismatchError: the collection is not in float32, or the encoder cannot show
            that its vectors are near enough. Every other difference is left to be found later.
    """
    written = stored.fingerprint.encoder.precision if stored.fingerprint else None
    precision = encoder.info.precision
    if written is None or written == precision:
        return encoder
    if written != _WRITTEN_IN:
        raise FingerprintMismatchError(
            f"{place} is in {written}, and mixed_precision is for collections in {_WRITTEN_IN}; "
            f"open it with an encoder in {written}"
        )
    # a memo stands before the encoder that was measured
    agreement = getattr(getattr(encoder, "encoder", encoder), "agreement", None)
    if agreement is None or not agreement.texts:
        raise FingerprintMismatchError(
            f"{place} is in {written}, the encoder in {precision}, and nobody measured how near "
            "the two are; export the model with: trivec export MODEL OUT --samples FILE"
        )
    cosine, shared = agreement.dense_cosine_mean, agreement.sparse_top10_shared
    if cosine < LEAST_COSINE or shared < LEAST_SHARED:
        raise FingerprintMismatchError(
            f"{place} is in {written}, and in {precision} the model's dense vectors have a mean "
            f"cosine of {cosine:.4f} with those (needed: {LEAST_COSINE}), its ten heaviest tokens "
            f"are to {shared:.2f} the same (needed: {LEAST_SHARED}); open it with an encoder in "
            f"{written}"
        )
    return QueryEncoder(encoder, written)
