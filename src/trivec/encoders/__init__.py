"""Encoders: text to dense, sparse and ColBERT vectors in one forward pass."""

from __future__ import annotations

from trivec._models.folder import HubOptions
from trivec._models.onnx_choice import Int8Weights, OnnxPrecision
from trivec._runtime.checks import Precision
from trivec.encoders.flag import FlagEncoder, FlagOptions, Pooling
from trivec.encoders.memo import MemoEncoder
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.encoders.remote import NumberFormat, RemoteEncoder, RemoteOptions
from trivec.encoders.similarity import Similarity

__all__ = [
    "FlagEncoder",
    "FlagOptions",
    "HubOptions",
    "Int8Weights",
    "MemoEncoder",
    "NumberFormat",
    "OnnxEncoder",
    "OnnxOptions",
    "OnnxPrecision",
    "Pooling",
    "Precision",
    "RemoteEncoder",
    "RemoteOptions",
    "Similarity",
]
