"""A module for each file format; each yields documents of ``trivec.ingest.documents``."""

from __future__ import annotations

__all__: list[str] = []
