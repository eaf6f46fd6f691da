"""Models behind HTTP: any OpenAI-compatible server for dense vectors, vLLM for all three."""

from __future__ import annotations

from trivec.encoders.remote.encoder import NumberFormat, RemoteEncoder, RemoteOptions

__all__ = [
    "NumberFormat",
    "RemoteEncoder",
    "RemoteOptions",
]
