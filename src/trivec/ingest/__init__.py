"""Bringing files in: readers for the usual formats, and the passages of whole folders."""

from __future__ import annotations

from trivec.ingest.chunking import OnSkip, chunks, find_files
from trivec.ingest.readers import SUFFIXES, Document, Reader, ReadOptions, read

__all__ = [
    "SUFFIXES",
    "Document",
    "OnSkip",
    "ReadOptions",
    "Reader",
    "chunks",
    "find_files",
    "read",
]
