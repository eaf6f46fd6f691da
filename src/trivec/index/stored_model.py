"""Stands for the model that wrote an index where its vectors are read and none is made."""

from __future__ import annotations

from collections.abc import Sequence

from trivec.errors import CollectionError, ModelError
from trivec.schema import Schema
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

__all__ = ["StoredModel"]


class StoredModel:
    """Stands for the model that wrote an index, where nothing is encoded.

    Args:
        schema: of the index.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    @property
    def info(self) -> EncoderInfo:
        """What identifies the model."""
        if self._schema.fingerprint is None:
            raise CollectionError(
                "this collection was not written by trivec; adopt it in Python first"
            )
        return self._schema.fingerprint.encoder

    def encode_documents(
        self,
        texts: Sequence[str],
        *,
        heads: Sequence[Head] = ALL_HEADS,  # noqa: ARG002  # the protocol's
    ) -> list[Encoding]:
        """Encode no texts.

        Raises:
            ModelError: there are some.
        """
        return self._nothing(texts)

    def encode_queries(
        self,
        texts: Sequence[str],
        *,
        heads: Sequence[Head] = ALL_HEADS,  # noqa: ARG002  # the protocol's
    ) -> list[Encoding]:
        """Encode no texts; see ``encode_documents``."""
        return self._nothing(texts)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Decode no tokens; see ``encode_documents``."""
        self._nothing(ids)
        return []

    @staticmethod
    def _nothing(given: Sequence[object]) -> list[Encoding]:
        if given:
            raise ModelError("no model was loaded here, so nothing can be encoded")
        return []
