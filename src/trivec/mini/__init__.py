"""The model ``mini``: M3-shaped, multilingual, from PyPI, for laptops, tests and demonstrations."""

from __future__ import annotations

from trivec.mini.encoder import MINI_OPTIONS, MiniEncoder
from trivec.mini.folder import ConversionProgress
from trivec.mini.reranker import MiniReranker, MiniRerankerOptions
from trivec.mini.states import TokenStates

__all__ = [
    "MINI_OPTIONS",
    "ConversionProgress",
    "MiniEncoder",
    "MiniReranker",
    "MiniRerankerOptions",
    "TokenStates",
]
