"""What encoders and rerankers share: finding, loading and running a model, and its tokenizer."""

from __future__ import annotations

__all__: list[str] = []
