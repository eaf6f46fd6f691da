"""Bringing files in: readers for the usual formats, and the passages of whole folders."""

from __future__ import annotations

from trivec.ingest.chunking import chunks
from trivec.ingest.documents import Block, BlockKind, Document, LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.finding import find_files
from trivec.ingest.readers import SUFFIXES, Reader, read
from trivec.ingest.sync import SyncOptions, SyncProgress, SyncReport, sync_folder

__all__ = [
    "SUFFIXES",
    "Block",
    "BlockKind",
    "Document",
    "LeftOut",
    "OnLeftOut",
    "ReadOptions",
    "Reader",
    "SyncOptions",
    "SyncProgress",
    "SyncReport",
    "chunks",
    "find_files",
    "read",
    "sync_folder",
]
