"""The model ``mini``: M3-shaped, multilingual, from PyPI, for laptops, tests and demonstrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec._runtime.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from trivec.mini.encoder import MiniEncoder
    from trivec.mini.flag_encoder import MINI_FLAG_OPTIONS, MiniFlagEncoder
    from trivec.mini.folder import ConversionProgress
    from trivec.mini.reranker import MiniReranker
    from trivec.mini.states import TokenStates

__all__ = [
    "MINI_FLAG_OPTIONS",
    "ConversionProgress",
    "MiniEncoder",
    "MiniFlagEncoder",
    "MiniReranker",
    "TokenStates",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "trivec.mini.encoder": ("MiniEncoder",),
        "trivec.mini.flag_encoder": ("MINI_FLAG_OPTIONS", "MiniFlagEncoder"),
        "trivec.mini.folder": ("ConversionProgress",),
        "trivec.mini.reranker": ("MiniReranker",),
        "trivec.mini.states": ("TokenStates",),
    },
)
