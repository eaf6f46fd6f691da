"""Encoders: text to dense, sparse and ColBERT vectors in one forward pass."""

from __future__ import annotations

from trivec.encoders.flag import FlagEncoder, FlagOptions
from trivec.encoders.memo import MemoEncoder
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.encoders.remote import RemoteEncoder, RemoteOptions
from trivec.encoders.similarity import Similarity

__all__ = [
    "FlagEncoder",
    "FlagOptions",
    "MemoEncoder",
    "OnnxEncoder",
    "OnnxOptions",
    "RemoteEncoder",
    "RemoteOptions",
    "Similarity",
]
