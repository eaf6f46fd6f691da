"""Encoders: text to dense, sparse and ColBERT vectors in one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec._runtime.lazy_names import lazy_attributes

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "trivec._models.folder": ("HubOptions",),
        "trivec._models.onnx_choice": ("Int8Weights", "OnnxPrecision"),
        "trivec._runtime.checks": ("Precision",),
        "trivec.encoders.flag": ("FlagEncoder", "FlagOptions", "Pooling"),
        "trivec.encoders.memo": ("MemoEncoder",),
        "trivec.encoders.onnx": ("OnnxEncoder", "OnnxOptions"),
        "trivec.encoders.remote": ("NumberFormat", "RemoteEncoder", "RemoteOptions"),
        "trivec.encoders.similarity": ("Similarity",),
    },
)
