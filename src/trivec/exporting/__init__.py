"""Models as ONNX graphs: exported once with torch, run anywhere without it."""

from __future__ import annotations

from trivec._models.onnx_folder import Agreement, ExportKind, Manifest
from trivec.exporting.export import ExportOptions, ExportPrecision, export_encoder, export_reranker
from trivec.exporting.samples import SAMPLES

__all__ = [
    "SAMPLES",
    "Agreement",
    "ExportKind",
    "ExportOptions",
    "ExportPrecision",
    "Manifest",
    "export_encoder",
    "export_reranker",
]
