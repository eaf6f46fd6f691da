"""Opening the files of a dataset: compressed or not, in the encodings that people have."""

from __future__ import annotations

import codecs
import gzip
import logging
import zlib
from pathlib import Path

from trivec.errors import InputError

__all__ = ["COMPRESSED", "form_of", "read_text"]

logger = logging.getLogger(__name__)

COMPRESSED = ".gz"

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def form_of(path: Path) -> str:
    """Return what a file's name says of its form, compression aside: ``.json``, ``.csv``."""
    inner = path.with_suffix("") if path.suffix.lower() == COMPRESSED else path
    return inner.suffix.lower()


def read_text(path: Path) -> str:
    """Return a file's text without a byte order mark, decompressed where it ends in ``.gz``.

    It is UTF-8, or UTF-16 with a byte order mark. What is neither is read as GB18030, as Chinese
    tables often are, and the log says so.

    Raises:
        InputError: the file cannot be read, or has none of these encodings.
    """
    try:
        data = path.read_bytes()
        if path.suffix.lower() == COMPRESSED:
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as err:
        raise InputError(f"{path} cannot be read: {err}") from err
    if data.startswith(UTF_16):
        return _decoded(path, data, "utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8: {err}; save it as UTF-8") from err
        logger.warning("%s is not UTF-8; it was read as GB18030. Save it as UTF-8", path)
        return text


def _decoded(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as err:
        raise InputError(f"{path} is not {encoding.upper()}: {err}; save it as UTF-8") from err
