"""Which encoding a text file is in: what it declares, UTF-8, or what chardet is sure of."""

from __future__ import annotations

import codecs
import logging
import re
import unicodedata
from pathlib import Path
from typing import BinaryIO, NamedTuple

from trivec.errors import InputError
from trivec.ingest.formats.packages import needs

__all__ = [
    "BYTE_ORDER_MARKS",
    "TextEncoding",
    "canonical",
    "check_size",
    "damage",
    "encoding_of",
    "read_text",
    "sure_encoding",
    "whole_file",
]

logger = logging.getLogger(__name__)

BLOCK = 1 << 20
SAMPLE = 1 << 18
LARGEST = 1 << 28
"""Bytes of a file that is read whole; records and pages are streamed."""

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "ascii": "cp1252",
}
"""Encodings that are named, and what is really used; as browsers do."""

IN_USE = frozenset(
    [
        *("gb18030", "big5hkscs", "cp950", "cp932", "euc_jp", "iso2022_jp", "cp949"),
        *("koi8-r", "koi8-u", "cp874", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254"),
        *("cp1255", "cp1256", "cp1257", "cp1258", "iso8859-2", "iso8859-5"),
        *("utf-8", "utf-16", "utf-16-le", "utf-16-be"),
    ]
)
"""What text files are in; the rest of chardet's list only makes it unsure."""

CONFIDENT = 0.05
AHEAD = 1.35
"""chardet's least confidence, and how far ahead of the next other reading it must be."""

FIRST_HIGH = re.compile(rb"[\x80-\xff]")
HIGH = bytes([0, *range(128, 256)])
FEWEST = 8
"""Bytes beyond ASCII; fewer tell one encoding from another too rarely."""

ODD = frozenset({"Cc", "Cn", "Co", "Cs"})
NULS = 0.02
DAMAGED = 0.001


class TextEncoding(NamedTuple):
    """An encoding's name, and what to do with bytes that it does not know."""

    name: str
    errors: str = "strict"


def encoding_of(path: Path, given: str | None = None) -> TextEncoding:
    """Return the encoding that reads the whole file.

    What is given is taken; else what a byte order mark says; else UTF-8; else what chardet finds,
    with a warning in the log. UTF-8 with a damaged byte here and there stays UTF-8.

    Raises:
        InputError: the file is in none that is sure, or the given one is wrong.
    """
    with path.open("rb") as file:
        if given is not None:
            return _given(file, given)
        sample = file.read(SAMPLE)
        for mark, encoding in BYTE_ORDER_MARKS.items():
            if sample.startswith(mark) and _reads(file, encoding):
                return TextEncoding(encoding)
        plain = sample.count(0) <= NULS * len(sample) and b"\x1b$" not in sample
        if plain and _reads(file, "utf-8"):
            return TextEncoding("utf-8")
        if plain and (places := damage(sample)):
            logger.warning("%s is UTF-8 with %d damaged places", path, places)
            return TextEncoding("utf-8", "replace")
        name = sure_encoding(_telling(file) if sample.isascii() and plain else sample)
        if name is None or not _reads(file, name):
            raise InputError(
                "its encoding is not sure; convert the file to UTF-8, or give its encoding"
            )
    logger.warning("%s is not UTF-8 and is read as %s", path, name.upper())
    return TextEncoding(name)


def _telling(file: BinaryIO) -> bytes:
    """Return the first part of a file that is not ASCII."""
    file.seek(0)
    while block := file.read(SAMPLE):
        if not block.isascii():
            return block + file.readline()
    return b""


def sure_encoding(sample: bytes) -> str | None:
    """Return the encoding that chardet is sure of; None where it is not."""
    if b"\x1b$" not in sample:
        if len(sample) - len(sample.translate(None, HIGH)) < FEWEST:
            return None
        first = FIRST_HIGH.search(sample)
        sample = sample[sample.rfind(b"\n", 0, first.start()) + 1 :] if first else sample
    with needs("files"):
        import chardet

    readings: list[tuple[float, str, str]] = []
    for guess in chardet.detect_all(sample, ignore_threshold=True):
        name = canonical(guess["encoding"] or "")
        text = None if name is None else _decoded(sample, name)
        if name is not None and text is not None:
            readings.append((guess["confidence"] or 0.0, name, text))
    if not readings:
        return None
    best, name, text = readings[0]
    other = next((confidence for confidence, _, rival in readings if rival != text), 0.0)
    sure = best >= max(CONFIDENT, AHEAD * other) and not _looks_wrong(text)
    return name if sure else None


def canonical(label: str) -> str | None:
    """Return the encoding in use that a label stands for; None for any other label."""
    label = label.strip().lower()
    if label.startswith("ks_c_5601"):
        return "cp949"
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    name = SUPERSETS.get(name, name)
    return name if name in IN_USE else None


def read_text(path: Path, given: str | None = None) -> str:
    r"""Return the whole text of a file; every kind of line end is ``\n``.

    Raises:
        InputError: it is too large, or its encoding is not sure.
    """
    check_size(path)
    encoding = encoding_of(path, given)
    return path.read_text(encoding=encoding.name, errors=encoding.errors)


def whole_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        InputError: it is too large to be read whole.
    """
    check_size(path)
    return path.read_bytes()


def check_size(path: Path) -> None:
    """Refuse a file that is too large to be read whole."""
    size = path.stat().st_size
    if size > LARGEST:
        raise InputError(
            f"it has {size:,} bytes, and at most {LARGEST:,} are read whole; split the file"
        )


def _given(file: BinaryIO, given: str) -> TextEncoding:
    if not _reads(file, given):
        raise InputError(f"it is not in the encoding {given!r}; give the one it is in")
    return TextEncoding(given)


def _reads(file: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def damage(sample: bytes) -> int:
    """Return how many places of mostly sound UTF-8 are damaged; 0 where it is something else."""
    text = sample.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    sound = len(sample) - len(text)  # at least one for every character beyond ASCII
    return damaged if damaged <= DAMAGED * len(text) and damaged * 10 <= sound else 0


def _decoded(sample: bytes, encoding: str) -> str | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        return decoder.decode(sample)  # the last character may be cut
    except UnicodeError:
        return None


def _looks_wrong(text: str) -> bool:
    kinds = {unicodedata.category(character) for character in set(text) - set("\t\n\r\f\v\x1a")}
    return not kinds.isdisjoint(ODD)
