"""Writes models down as ONNX graphs, with numpy and protobuf alone."""

from __future__ import annotations

__all__: list[str] = []
