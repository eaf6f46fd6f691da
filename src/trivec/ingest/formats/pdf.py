"""The pages of a PDF file, by PDFium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.errors import InputError
from trivec.ingest.documents import Document, LeftOut, OnLeftOut
from trivec.ingest.formats.packages import needs
from trivec.ingest.formats.pdf_layout import Character, page_text

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

__all__ = ["pdf_documents"]

NO_TITLES = frozenset(
    ["untitled", "untitled document", "title", "document", "document1", "无标题", "未命名", "無題"]
)
PRINTED_BY = ("microsoft word - ", "microsoft powerpoint - ", "microsoft excel - ")
SUFFIXES = (".pdf", ".doc", ".docx", ".ppt", ".pptx", ".xls", ".xlsx", ".indd", ".tex", ".dvi")

_one_at_a_time = threading.RLock()
"""PDFium may not be called from two threads at once."""


def pdf_documents(path: Path, report: OnLeftOut) -> Iterator[Document]:
    """Yield a document for every page that has text; a scanned or broken page is reported.

    Raises:
        InputError: the file is damaged, or encrypted with a password.
    """
    with needs("files"):
        import pypdfium2

    with _one_at_a_time:
        try:
            file = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as err:
            raise InputError(_refusal(str(err))) from err
    try:
        with _one_at_a_time:
            count, title = len(file), _title(file)
        metadata = {"title": title} if title else {}
        for number in range(1, count + 1):
            where = f"page {number}"
            try:
                text, is_scan = _page(file, number - 1)
            except pypdfium2.PdfiumError as err:
                report(LeftOut(path, f"the page is damaged ({err}); mend the file", where))
                continue
            if is_scan:
                report(LeftOut(path, "the page is a scan; recognise its text first", where))
            elif text:
                yield Document(text, metadata=metadata, origin={"page": number}, where=where)
    finally:
        with _one_at_a_time:
            file.close()


def _refusal(reason: str) -> str:
    if "password" in reason.lower():
        return "it is encrypted with a password; save it without"
    return f"it cannot be read as PDF ({reason.strip('.')}); save it anew or mend it"


def _title(file: PdfDocument) -> str:
    """Return the title; not what programs write where nobody gave one."""
    title = " ".join(file.get_metadata_dict().get("Title", "").split())
    lowered = title.lower()
    for prefix in PRINTED_BY:
        if lowered.startswith(prefix):
            title = title[len(prefix) :].strip()
    is_file = title.lower().endswith(SUFFIXES)
    return "" if is_file or title.lower() in NO_TITLES else title


def _page(file: PdfDocument, index: int) -> tuple[str, bool]:
    """Return the text of a page, and whether it has none but shows images."""
    with _one_at_a_time:
        page = file[index]
        try:
            text = page_text(list(_characters(page)))
            return text, not text and _has_image(page)
        finally:
            page.close()


def _characters(page: PdfPage) -> Iterator[Character]:
    import ctypes

    from pypdfium2 import raw

    content = page.get_textpage()
    try:
        box = raw.FS_RECTF()
        for index in range(content.count_chars()):
            code = raw.FPDFText_GetUnicode(content, index)
            if raw.FPDFText_IsGenerated(content, index) == 1:
                if code == ord(" "):
                    yield Character(" ", 0.0, 0.0, 0.0, 0.0)
                continue
            if raw.FPDFText_IsHyphen(content, index) == 1:
                code = ord("-")
            if not raw.FPDFText_GetLooseCharBox(content, index, ctypes.byref(box)):
                continue
            yield Character(_readable(code), box.left, box.right, box.bottom, box.top)
    finally:
        content.close()


def _readable(code: int) -> str:
    return "" if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF else chr(code)


def _has_image(page: Any) -> bool:
    from pypdfium2 import raw

    return any(True for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
