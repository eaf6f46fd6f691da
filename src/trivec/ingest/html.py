"""The text of an HTML file."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from trivec.ingest.encodings import encoding_of

__all__ = ["html_text"]

DROPPED = ["script", "style", "noscript", "template", "svg"]
PARAGRAPHS = ["h1", "h2", "h3", "h4", "h5", "h6", "p", "pre", "table"]
LINES = [
    *("address", "article", "aside", "blockquote", "dd", "details", "div", "dl", "dt", "fieldset"),
    *("figcaption", "figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol"),
    *("section", "summary", "td", "th", "tr", "ul"),
]
SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030"}
"""As browsers do: pages declare the old sets and use the new one."""

SPACE = re.compile(r"[ \t\r\n\f]+")
BLANK_LINES = re.compile(r"\n\s*\n\s*")


def html_text(path: Path, encoding: str | None) -> tuple[str, None, dict[str, Any]]:
    """Return the text that a browser would show, no id, and the title as metadata.

    The encoding that the file declares counts before what its bytes look like.

    Raises:
        InputError: the encoding is unknown, or the file is not in it.
    """
    import bs4
    from bs4.dammit import EncodingDetector

    markup = path.read_bytes()
    declared = EncodingDetector.find_declared_encoding(markup, is_html=True)
    if encoding is not None or declared is None:
        declared = encoding_of(path, encoding)
    declared = SUPERSETS.get(declared.lower(), declared)
    with warnings.catch_warnings():
        # XHTML read as HTML gives its text all the same; a short text may look like a file's name
        warnings.simplefilter("ignore", bs4.XMLParsedAsHTMLWarning)
        warnings.simplefilter("ignore", bs4.MarkupResemblesLocatorWarning)
        soup = bs4.BeautifulSoup(markup, "html.parser", from_encoding=declared)
    title = SPACE.sub(" ", soup.title.get_text()).strip() if soup.title else ""
    for tag in soup.find_all([*DROPPED, "title"]):
        tag.decompose()
    _lay_out(soup)
    text = BLANK_LINES.sub("\n\n", soup.get_text()).strip()
    return text, None, {"title": title} if title else {}


def _lay_out(soup: Any) -> None:
    """Make white space what a browser makes of it: one space inline, line ends around blocks."""
    for string in soup.find_all(string=True):
        if string.find_parent("pre") is None:
            string.replace_with(type(string)(SPACE.sub(" ", string)))
    for tag in soup.find_all("br"):
        tag.replace_with("\n")
    for tag in soup.find_all([*LINES, *PARAGRAPHS]):
        tag.insert_before("\n")
        tag.insert_after("\n\n" if tag.name in PARAGRAPHS else "\n")
