"""What encoders and rerankers share: finding, loading, tokenizing for and running a model."""

from __future__ import annotations

__all__: list[str] = []
