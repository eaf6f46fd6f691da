"""Bringing files in: readers for the usual formats, and the passages of whole folders."""

from __future__ import annotations

from trivec.ingest.chunking import chunks, find_files
from trivec.ingest.readers import SUFFIXES, Document, ReadOptions, read

__all__ = ["SUFFIXES", "Document", "ReadOptions", "chunks", "find_files", "read"]
