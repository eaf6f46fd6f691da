"""Honest fakes for tests, ours and yours: they keep the protocols, and pass the same suites.

- :class:`FakeEncoder`: dense, sparse and ColBERT vectors without a model.
- :class:`MemoryStore`: a store without an engine.
- :func:`build_tiny_m3`: a folder in BGE-M3's format with small random weights (needs torch).
- :func:`build_tiny_reranker`: the same of a cross-encoder in bge-reranker's format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivec.testing.encoder import FakeEncoder
from trivec.testing.store import MemoryStore

if TYPE_CHECKING:
    from trivec.testing.m3_folder import build_tiny_m3
    from trivec.testing.reranker_folder import build_tiny_reranker

__all__ = ["FakeEncoder", "MemoryStore", "build_tiny_m3", "build_tiny_reranker"]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for."""
    if name == "build_tiny_m3":
        from trivec.testing.m3_folder import build_tiny_m3

        return build_tiny_m3
    if name == "build_tiny_reranker":
        from trivec.testing.reranker_folder import build_tiny_reranker

        return build_tiny_reranker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
