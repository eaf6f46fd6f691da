"""From a document to passages: a section at a time, under the headings that lead to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from trivec.ingest.documents import Block, Document
from trivec.ingest.sections import Section, sections
from trivec.text import clean, is_blank, split
from trivec.types import Chunk

__all__ = ["PassageSplitter"]

PATH = " > "
BREAK = "\n\n"
ORIGIN = "origin_{}"
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_TOKEN = 16
"""Characters for every token allowed, above which a text is not counted but split."""


class _Piece(NamedTuple):
    """A part of a section: its text, and where that lies in the document's text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PassageSplitter:
    """Splits documents into passages of at most ``max_tokens`` tokens.

    No passage reaches over a heading. Each begins with the path of its headings, each piece of a
    table with the table's header, each piece of code with its fence.

    Attributes:
        count: counts the tokens of a text.
        max_tokens: the most tokens of a passage, headings included.
        overlap: the most tokens that a passage repeats of the one before.
    """

    count: Callable[[str], int]
    max_tokens: int
    overlap: int = 0

    def passages(self, document: Document) -> list[Chunk]:
        """Return the passages of a document, without source and position."""
        chunks = []
        if LONE_SURROGATE.search(document.text):  # no tokenizer takes them
            document = replace(document, text=LONE_SURROGATE.sub("\ufffd", document.text))
        for section in sections(document):
            prefix = self._prefix(section.headings)
            if section.heading is not None and not prefix:
                section.blocks.insert(0, section.heading)
            for piece in self._pieces(document, section.blocks, prefix):
                body = clean(piece.text)
                if not is_blank(body):
                    metadata = _metadata(document, section, piece)
                    chunks.append(Chunk(clean(prefix) + body, metadata=metadata))
        return _with_ids(document.id, chunks)

    def _prefix(self, headings: Sequence[str]) -> str:
        """Return the line of headings; outer ones go where it would fill half of a passage."""
        most = self.max_tokens // 2
        start, length = len(headings), 0
        while start and length <= LONGEST_TOKEN * most:  # more cannot fit: thousands stay unread
            start -= 1
            length += len(headings[start])
        for first in range(start, len(headings)):
            prefix = PATH.join(headings[first:]) + BREAK
            if self.count(prefix) <= most:
                return prefix
        return ""

    def _pieces(self, document: Document, blocks: Sequence[Block], prefix: str) -> list[_Piece]:
        room = self.max_tokens - (self.count(prefix) if prefix else 0)
        within = replace(self, max_tokens=room, overlap=min(self.overlap, room - 1))
        pieces: Iterable[_Piece] = (
            piece
            for run in _runs(document.text, blocks)
            for piece in within._split(document, run)  # noqa: SLF001
        )
        return list(within._merged(document.text, pieces))  # noqa: SLF001  # its own kind

    def _split(self, document: Document, run: Sequence[Block]) -> Iterator[_Piece]:
        first, last = run[0], run[-1]
        if first.kind in {"table", "code"}:
            yield from self._lines(document.text, first)
            return
        yield from self._prose(document, first.start, last.end)

    def _prose(self, document: Document, start: int, end: int) -> Iterator[_Piece]:
        spans = split(
            document.text[start:end],
            self.count,
            max_tokens=self.max_tokens,
            overlap=self.overlap,
            markdown=document.markdown,
        )
        for span in spans:
            yield _Piece(span.text, start + span.start, start + span.end)

    def _lines(self, text: str, block: Block) -> Iterator[_Piece]:
        """Yield a table or code whole, or in groups of lines, each with what it must have."""
        whole = text[block.start : block.end]
        if self._fits(whole):
            yield _Piece(whole, block.start, block.end)
            return
        opening = f"{block.opening}\n" if block.opening else ""
        closing = f"\n{block.closing}" if block.closing else ""
        if self.count(opening + closing) > self.max_tokens // 2:
            opening = closing = ""
        room = self.max_tokens - (self.count(opening + closing) if opening or closing else 0)
        start = block.start + (len(block.opening) + 1 if opening else 0)
        end = block.end - len(closing)
        for first, last in self._groups(text, start, end, room):
            yield _Piece(opening + text[first:last] + closing, first, last)

    def _groups(self, text: str, start: int, end: int, room: int) -> Iterator[tuple[int, int]]:
        """Yield where groups of lines begin and end that have at most ``room`` tokens."""
        first = position = start
        size = 0
        while position < end:
            stop = text.find("\n", position, end)
            stop = end if stop < 0 else stop
            tokens = self.count(text[position : min(stop + 1, end)])
            if size + tokens > room and first < position:
                yield first, position - 1
                first, size = position, 0
            if tokens > room:
                spans = split(text[position:stop], self.count, max_tokens=room)
                yield from ((position + span.start, position + span.end) for span in spans)
                first = stop + 1
            else:
                size += tokens
            position = stop + 1
        if first < end:
            yield first, end

    def _merged(self, text: str, pieces: Iterable[_Piece]) -> Iterator[_Piece]:
        """Join neighbours that fit into one passage together."""
        held: _Piece | None = None
        for piece in pieces:
            joined = None if held is None else _joined(text, held, piece)
            if joined is not None and self._fits(joined.text):
                held = joined
                continue
            if held is not None:
                yield held
            held = piece
        if held is not None:
            yield held

    def _fits(self, text: str) -> bool:
        return len(text) <= LONGEST_TOKEN * self.max_tokens and self.count(text) <= self.max_tokens


def _joined(text: str, one: _Piece, other: _Piece) -> _Piece | None:
    if other.start < one.end:
        return None  # they overlap: the second repeats the first
    between = text[one.end : other.start]
    source = text[one.start : other.end]
    if source == one.text + between + other.text and not between.strip():
        return _Piece(source, one.start, other.end)
    return _Piece(one.text + BREAK + other.text, one.start, other.end)


def _runs(text: str, blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield tables and code alone, and neighbours of all other kinds together."""
    run: list[Block] = []
    for block in blocks:
        alone = block.kind in {"table", "code"}
        if run and (alone or text[run[-1].end : block.start].strip()):
            yield run
            run = []
        if alone:
            yield [block]
        else:
            run.append(block)
    if run:
        yield run


def _metadata(document: Document, section: Section, piece: _Piece) -> Mapping[str, Any]:
    origin: dict[str, Any] = {"start_index": piece.start, "end_index": piece.end}
    if section.headings:
        origin["headings"] = list(section.headings)
    return dict(document.metadata) | {
        ORIGIN.format(key) if key in document.metadata else key: value
        for key, value in {**document.origin, **origin}.items()
    }


def _with_ids(identity: str | None, chunks: list[Chunk]) -> list[Chunk]:
    if identity is None:
        return chunks
    if len(chunks) == 1:
        return [replace(chunks[0], id=identity)]
    return [replace(chunk, id=f"{identity}#{number}") for number, chunk in enumerate(chunks)]
