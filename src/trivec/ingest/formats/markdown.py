"""The blocks of a Markdown text, by a CommonMark parser: a fence holds no heading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from trivec.errors import InputError
from trivec.ingest.documents import Block, Document
from trivec.ingest.formats.front_matter import front_matter
from trivec.ingest.formats.packages import needs

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["markdown_blocks", "markdown_document"]

LONGEST_HEADING = 1000
"""Characters of a heading; a longer one is text, since inline markup may take quadratic time."""


def markdown_document(text: str) -> tuple[Document, str | None]:
    """Return a Markdown text as a document, and what was wrong with its front matter.

    The front matter is metadata; without a ``title`` in it, the first heading is the title.
    """
    complaint = None
    try:
        values, begin = front_matter(text)
    except InputError as err:
        values, begin, complaint = {}, 0, str(err)
    blocks = markdown_blocks(text, begin)
    title = next((block.title for block in blocks if block.kind == "heading"), None)
    titles = {"title": title} if title else {}
    return Document(text, metadata=titles | values, blocks=blocks, markdown=True), complaint


def markdown_blocks(text: str, begin: int = 0) -> tuple[Block, ...]:
    """Return the blocks of a Markdown text from a position on, a line's begin."""
    lines = text[begin:].split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=begin))
    starts[-1] = len(text)
    tokens = (token for token in _parser().parse(text[begin:]) if token.level == 0)
    return tuple(_blocks(tokens, text, starts))


@cache
def _parser() -> MarkdownIt:
    with needs("files"):
        from markdown_it import MarkdownIt
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.disable("reference")  # link targets stay in the text
    return parser


def _blocks(tokens: Iterator[Token], text: str, starts: Sequence[int]) -> Iterator[Block]:
    for token in tokens:
        if token.map is None or token.type == "hr":
            continue
        start, end = starts[token.map[0]], starts[token.map[1]]
        source = text[start:end].rstrip()
        end = start + len(source)
        if token.type == "heading_open" and end - start <= LONGEST_HEADING:
            title = _plain(source, int(token.tag[1]))
            if title:
                yield Block(start, end, "heading", level=int(token.tag[1]), title=title)
        elif token.type == "table_open":
            yield Block(start, end, "table", opening="\n".join(source.split("\n", 2)[:2]))
        elif token.type == "fence":
            yield _fence(token, source, start)
        elif not (token.type == "html_block" and _is_comment(source)):
            yield Block(start, end, "code" if token.type == "code_block" else "text")


def _fence(token: Token, source: str, start: int) -> Block:
    opening, _, rest = source.partition("\n")
    last = rest.rpartition("\n")[2]
    closed = bool(rest) and last.strip().startswith(token.markup) and not last.strip(" `~")
    return Block(
        start,
        start + len(source),
        "code",
        opening=opening,
        closing=last if closed else "",
    )


def _is_comment(source: str) -> bool:
    body = source.strip()
    return body.startswith("<!--") and body.find("-->") in {-1, len(body) - 3}


def _plain(source: str, level: int) -> str:
    """Return the words of a heading without its markup."""
    inline = source.strip()
    if inline.startswith("#"):
        inline = inline[level:].strip()
        bare = inline.rstrip("#")
        inline = bare if not bare or bare[-1] in " \t" else inline
    else:
        inline = inline.rpartition("\n")[0]  # the line below a heading of the other kind
    if inline.rstrip().endswith("}") and "{#" in inline:
        inline = inline.rpartition("{#")[0]
    parser = _inline_parser()
    words = [
        _words(child) for token in parser.parseInline(inline) for child in token.children or ()
    ]
    return " ".join("".join(words).split())


@cache
def _inline_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("strikethrough")


def _words(token: Token) -> str:
    if token.type in {"text", "code_inline", "image", "text_special"}:
        return token.content
    return " " if token.type in {"softbreak", "hardbreak"} else ""
