"""The text of a web page: what its reader reads, with its headings, tables and code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trivec.errors import InputError
from trivec.ingest.documents import Block, Document
from trivec.ingest.formats.encodings import BYTE_ORDER_MARKS, canonical, damage, sure_encoding
from trivec.ingest.formats.html_hidden import Unread
from trivec.ingest.formats.html_tables import TableReader, is_layout
from trivec.ingest.formats.packages import needs

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["html_document", "markup_text"]

HEAD = 4096
CHARSET = re.compile(
    rb"""(?:charset|encoding)\s{0,9}=\s{0,9}["']?\s{0,9}([\w:.-]{1,40})""", re.IGNORECASE
)
SPACE = re.compile(r"[ \t\r\n\f]+")
UNSPACED = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U000323af"
WRAPPED = re.compile(rf"(?<=[{UNSPACED}])[ \t\r\f]*\n[ \t\r\n\f]*(?=[{UNSPACED}])")
"""A line end within Chinese or Japanese, where a space would part a word."""

POWER = re.compile(r"\s*[-+−]?\d+\s*")
NUMBER = re.compile(r"\s*-?\d{1,9}\s*")
HEADINGS = {f"h{level}": level for level in range(1, 7)}
PARAGRAPHS = frozenset(
    [
        *("address", "article", "aside", "blockquote", "details", "dl", "fieldset", "figure"),
        *("form", "header", "hr", "main", "ol", "p", "section", "table", "ul", "body"),
    ]
)
LINES = frozenset(
    [
        *("br", "caption", "center", "dd", "div", "dt", "figcaption", "legend", "li", "option"),
        *("summary", "td", "th", "tr", "label"),
    ]
)
LISTS = frozenset(["ul", "ol", "menu", "dir"])
LONGEST_HEADING = 1000
DEEPEST_LIST = 8
TOO_DEEP = "Excessive depth"
"""How libxml2 says that it left out the rest of a page."""


def html_document(markup: bytes, encoding: str | None) -> Document:
    """Return the text that a reader of the page reads.

    Left out are scripts, templates, hidden elements, navigation, cookie banners, footers and
    forms' controls. A table has one row a line, empty cells included.

    Raises:
        InputError: the encoding is unknown or not sure, or the page nests too deeply.
    """
    with needs("files"):
        from lxml import etree

    text = markup_text(markup, encoding)
    parser = etree.HTMLParser(
        encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True
    )
    page = etree.fromstring(text.encode("utf-8", "replace"), parser)
    if any(TOO_DEEP in error.message for error in parser.error_log):
        raise InputError("it nests deeper than 2,048 elements; flatten it")
    if page is None:
        return Document("")
    title = " ".join((page.findtext("head/title") or "").split())
    layout = _Layout(Unread.of(page), len(text))
    layout.read(page)
    return Document(
        "".join(layout.parts),
        metadata={"title": title} if title else {},
        blocks=tuple(layout.blocks),
    )


def markup_text(markup: bytes, given: str | None) -> str:
    """Decode a page: by what is given, its byte order mark, what it declares, what is sure.

    Raises:
        InputError: nothing is sure, or what was given is wrong.
    """
    if given is not None:
        try:
            return markup.decode(given)
        except UnicodeDecodeError as err:
            raise InputError(f"it is not in the encoding {given!r}; give the one it is in") from err
    declared = CHARSET.search(markup[:HEAD])
    names = [name for mark, name in BYTE_ORDER_MARKS.items() if markup.startswith(mark)]
    names += [(declared and canonical(declared[1].decode("ascii"))) or "utf-8", "utf-8"]
    for name in names:
        try:
            return markup.decode(name)
        except UnicodeDecodeError:
            continue
    if damage(markup):
        return markup.decode("utf-8", "replace")
    if (sure := sure_encoding(markup)) is not None:
        return markup.decode(sure, "replace")
    raise InputError("its encoding is not sure; convert it to UTF-8, or give its encoding")


class _Layout:
    """Lays out a page as lines of text, and remembers its blocks."""

    def __init__(self, unread: Unread, size: int) -> None:
        self.parts: list[str] = []
        self.blocks: list[Block] = []
        self._length = 0
        self._unread = unread
        self._tables = TableReader(self._flat, unread, most_repeated=size)
        self._line: list[str] = []
        self._break = ""  # what parts the next line from the one before
        self._prose: int | None = None  # where the text block at hand begins
        self._lists: list[int | None] = []  # the number of the item at hand; None without numbers
        self._bullet = ""

    def read(self, page: _Element) -> None:
        """Lay out a whole page."""
        from lxml import etree

        walk = etree.iterwalk(page, events=("start", "end"))
        skipped = False  # the event after a skipped element's start is its end
        for event, element in walk:
            if event == "start":
                skipped = self._unread(element) or self._whole(element)
                if skipped:
                    walk.skip_subtree()
                else:
                    self._open(element)
                continue
            if not skipped:
                self._close(element.tag)
            skipped = False
            if element.tail:
                self._line.append(element.tail)
        self._end_prose()

    def _open(self, element: _Element) -> None:
        tag = element.tag
        self._turn(tag)
        if tag in LISTS:
            self._lists.append(_number(element, "start", 1) - 1 if tag == "ol" else None)
        elif tag == "li":
            self._bullet = self._marker(element)
        elif tag == "sup" and POWER.fullmatch(element.text or "") and self._after_digit():
            self._line.append("^")
        if element.text:
            self._line.append(element.text)

    def _close(self, tag: Any) -> None:
        self._turn(tag)
        if tag in LISTS and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._bullet = ""

    def _marker(self, item: _Element) -> str:
        indent = "  " * min(len(self._lists) - 1, DEEPEST_LIST)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{indent}- "
        number = self._lists[-1] = _number(item, "value", number + 1)
        return f"{indent}{number}. "

    def _after_digit(self) -> bool:
        return bool(self._line) and self._line[-1][-1:].isdigit()

    def _turn(self, tag: Any) -> None:
        """End the line where an element begins or ends that stands on lines of its own."""
        if tag in PARAGRAPHS:
            self._end_line()
            self._break = "\n\n"
        elif tag in LINES:
            self._end_line()
            self._break = self._break or "\n"

    def _whole(self, element: _Element) -> bool:
        """Read headings, code and tables of data at once; say whether it was one."""
        tag = element.tag
        if tag in HEADINGS:
            self._end_prose()
            title = self._flat(element)
            if len(title) <= LONGEST_HEADING:
                self._add(title, "heading", level=HEADINGS[tag], title=title)
            else:
                self._add(title, "text")
        elif tag == "pre":
            self._end_prose()
            self._add("".join(self._texts(element)).strip("\n"), "code")
        elif tag == "table" and not is_layout(element):
            self._end_prose()
            table = self._tables.read(element)
            opening = table.opening
            lines = [opening, *table.rows] if opening else table.rows
            self._add("\n".join(lines), "table", opening=opening)
        else:
            return False
        return True

    def _add(self, text: str, kind: Any, **more: Any) -> None:
        if not text.strip():
            return
        self._write(text, "\n\n")
        self.blocks.append(Block(self._length - len(text), self._length, kind, **more))
        self._break = "\n\n"

    def _end_line(self) -> None:
        text = _spaced("".join(self._line))
        self._line.clear()
        if not text:
            return
        text, self._bullet = self._bullet + text, ""
        self._write(text, self._break or "\n")
        if self._prose is None:
            self._prose = self._length - len(text)
        self._break = ""

    def _end_prose(self) -> None:
        self._end_line()
        if self._prose is not None:
            self.blocks.append(Block(self._prose, self._length))
        self._prose = None
        self._break = "\n\n"

    def _write(self, text: str, parting: str) -> None:
        if self.parts:
            self.parts.append(parting)
            self._length += len(parting)
        self.parts.append(text)
        self._length += len(text)

    def _flat(self, element: _Element) -> str:
        """Return the text of an element on one line."""
        is_leaf = not len(element)  # as most cells of a table are
        text = (element.text or "") if is_leaf else "".join(self._texts(element, parting=" "))
        return _spaced(text)

    def _texts(self, element: _Element, parting: str = "\n") -> list[str]:
        from lxml import etree

        texts: list[str] = []
        walk = etree.iterwalk(element, events=("start", "end"))
        for event, one in walk:
            if event == "start":
                if one is not element and self._unread(one):
                    walk.skip_subtree()
                    continue
                texts.append(one.text or "")
            elif one is not element:
                if one.tag in LINES or one.tag in PARAGRAPHS:
                    texts.append(parting)
                texts.append(one.tail or "")
        return texts


def _spaced(text: str) -> str:
    """Return a text with single spaces, and none where lines of Han were wrapped."""
    return SPACE.sub(" ", WRAPPED.sub("", text)).strip(" ")


def _number(element: _Element, attribute: str, default: int) -> int:
    given = element.get(attribute, "")
    return int(given) if NUMBER.fullmatch(given) else default
