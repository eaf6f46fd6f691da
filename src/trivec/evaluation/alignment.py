"""Which token of a passage is most like each token of a question, by ColBERT."""

from __future__ import annotations

from typing import cast

import numpy as np

from trivec.arms import COLBERT
from trivec.encoders import MemoEncoder
from trivec.evaluation.explanations import TokenMatch
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.protocols import Encoder
from trivec.types import Chunk, FloatArray

__all__ = ["alignment"]


def alignment(index: HybridIndex, question: str, chunk: Chunk) -> tuple[TokenMatch, ...]:
    """Return the passage's best token for each token of a question; empty without ColBERT."""
    schema = index.schema
    if COLBERT.name not in schema.vectors:
        return ()
    name = schema.vectors[COLBERT.name].name
    stored = index.store.retrieve([binding_of(index).point_of(chunk)], with_vectors=[name])
    asked = index.encoder.encode_queries([question])[0].colbert
    if not stored or asked is None or name not in stored[0].vectors:
        return ()
    rows = cast("FloatArray", stored[0].vectors[name])
    cosines = np.asarray(asked, dtype=np.float32) @ np.asarray(rows, dtype=np.float32).T
    encoder = _innermost(index.encoder)
    words = _token_texts(encoder, question, len(asked))
    passage_words = _token_texts(encoder, chunk.text, len(rows))
    return tuple(
        TokenMatch(word, passage_words[int(line.argmax())], float(line.max()))
        for word, line in zip(words, cosines, strict=True)
    )


def _innermost(encoder: Encoder) -> Encoder:
    while isinstance(encoder, MemoEncoder):
        encoder = encoder.encoder
    return encoder


def _token_texts(encoder: Encoder, text: str, rows: int) -> list[str]:
    """Return the text of each row; numbers where the encoder does not show its tokens.

    Rows that were averaged, because Qdrant takes no more, have no text of their own either.
    """
    tokenizer = getattr(encoder, "tokenizer", None)
    encode = getattr(tokenizer, "encode", None)
    if encode is None:
        return [f"#{number}" for number in range(1, rows + 1)]
    tokens = [*encode(text, add_special_tokens=False).tokens, "</s>"]
    if len(tokens) < rows:
        return [f"#{number}" for number in range(1, rows + 1)]
    return [str(token).replace("▁", " ").strip() or "▁" for token in tokens[:rows]]
