"""Which encoding a text file is in."""

from __future__ import annotations

import codecs
import logging
from pathlib import Path

from trivec.errors import InputError

__all__ = ["encoding_of"]

logger = logging.getLogger(__name__)

BLOCK = 1 << 20
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16"} | {
    codecs.BOM_UTF16_BE: "utf-16"
}


def encoding_of(path: Path, given: str | None = None) -> str:
    """Return the encoding that reads the whole file.

    What is given is taken; else what a byte order mark says; else UTF-8; else GB18030, the other
    encoding that Chinese files are commonly in, with a warning in the log. There is no guessing
    beyond that: Big5 or Windows-1252 must be given, and either may be taken for GB18030.

    Raises:
        InputError: the file is in none of them, or the given encoding is unknown or wrong.
    """
    if given is not None:
        if not _reads(path, given):
            raise InputError(f"{path} is not in the encoding {given!r}; give the one it is in")
        return given
    with path.open("rb") as file:
        head = file.read(4)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark) and _reads(path, encoding):
            return encoding
    if _reads(path, "utf-8"):
        return "utf-8"
    if _reads(path, "gb18030"):
        logger.warning("%s is not UTF-8 and is read as GB18030", path)
        return "gb18030"
    raise InputError(f"{path} is neither UTF-8 nor GB18030; convert it, or give its encoding")


def _reads(path: Path, encoding: str) -> bool:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError as err:
        raise InputError(f"encoding={encoding!r} is unknown to Python; try 'big5'") from err
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True
