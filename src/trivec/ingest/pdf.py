"""The pages of a PDF file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.errors import InputError

if TYPE_CHECKING:
    from pypdf import PdfReader

__all__ = ["pdf_pages"]


def pdf_pages(path: Path) -> Iterator[tuple[int, str | None, str]]:
    """Yield the number from 1, the title of the file, and the text of every page.

    Raises:
        InputError: it is damaged, or encrypted with a password.
    """
    import pypdf

    try:
        with pypdf.PdfReader(path) as reader:
            _decrypt(reader, path)
            title = str(reader.metadata.title or "") if reader.metadata else ""
            for number, page in enumerate(reader.pages, 1):
                yield number, title.strip() or None, page.extract_text()
    except (InputError, OSError):
        raise
    except Exception as err:  # damaged files raise whatever pypdf stumbles over
        raise InputError(
            f"{path} cannot be read as PDF ({type(err).__name__}: {err}); save it anew or mend it"
        ) from err


def _decrypt(reader: PdfReader, path: Path) -> None:
    if reader.is_encrypted and not reader.decrypt(""):
        raise InputError(f"{path} is encrypted with a password; save it without")
