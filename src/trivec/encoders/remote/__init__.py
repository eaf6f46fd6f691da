"""Models behind HTTP: any OpenAI-compatible server for dense vectors, vLLM for all three."""

from __future__ import annotations

from trivec.encoders.remote.encoder import RemoteEncoder
from trivec.encoders.remote.options import NumberFormat, RemoteOptions

__all__ = [
    "NumberFormat",
    "RemoteEncoder",
    "RemoteOptions",
]
