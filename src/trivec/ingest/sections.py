"""The sections of a document: the blocks below one heading, and the headings that lead there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from trivec.ingest.documents import Block, Document

__all__ = ["Section", "sections"]


@dataclass(slots=True)
class Section:
    """The blocks below one heading.

    Attributes:
        headings: the words of the headings that lead here, outermost first.
        heading: the innermost of them.
        blocks: what stands below it.
    """

    headings: tuple[str, ...]
    heading: Block | None = None
    blocks: list[Block] = field(default_factory=list)


def sections(document: Document) -> Iterator[Section]:
    """Yield the sections that hold text.

    A heading with nothing below it is text: of the section before where that has the same parent,
    else of the one after. A first heading of level 1 right before another is the title of all.
    """
    outline = _Outline(_base(document))
    for block in document.blocks or (Block(0, len(document.text)),):
        if block.kind == "heading":
            outline.enter(block)
        elif (finished := outline.add(block)) is not None:
            yield finished
    if (last := outline.finish()) is not None:
        yield last


def _base(document: Document) -> tuple[str, ...]:
    """Return the title as the outermost heading where the headings themselves lack one."""
    title = document.metadata.get("title")
    headings = [block for block in document.blocks if block.kind == "heading"]
    if not document.blocks or not isinstance(title, str) or not title.strip():
        return ()
    known = any(block.level == 1 or block.title == title for block in headings)
    return () if known else (" ".join(title.split()),)


class _Outline:
    """Where a document stands while its blocks go by."""

    def __init__(self, base: tuple[str, ...]) -> None:
        self._base = list(base)
        self._path: list[Block] = []
        self._is_open = False  # the innermost heading has nothing below it yet
        self._bare: list[Block] = []  # headings without text that wait for a section
        self._told: set[int] = set()  # where the headings begin that some text names
        self._section: Section | None = None

    def enter(self, heading: Block) -> None:
        """Go on below a heading."""
        self._close(heading.level)
        while self._path and self._path[-1].level >= heading.level:
            self._path.pop()
        self._path.append(heading)
        self._is_open = True

    def add(self, block: Block) -> Section | None:
        """Put a block below the headings that lead here; return the section that this ends."""
        finished = None
        if self._section is None or self._is_open:
            finished = self._section
            heading = self._path[-1] if self._path else None
            self._section = Section(self._headings(len(self._path)), heading, self._waiting())
            self._told.update(one.start for one in self._path)
        self._section.blocks.append(block)
        self._is_open = False
        return finished

    def finish(self) -> Section | None:
        """Return the last section."""
        self._close(0)
        if self._section is None and self._bare:
            self._section = Section(tuple(self._base))
        if self._section is not None:
            self._section.blocks.extend(self._waiting())
        return self._section

    def _waiting(self) -> list[Block]:
        """Take the headings that wait, in the document's order: an outer one may come last."""
        waiting, self._bare = sorted(self._bare, key=lambda heading: heading.start), []
        return waiting

    def _headings(self, depth: int) -> tuple[str, ...]:
        return (*self._base, *(heading.title for heading in self._path[:depth]))

    def _close(self, level: int) -> None:
        """Keep headings as text that one of this level leaves without any below them."""
        if not self._is_open or level > self._path[-1].level:
            return
        self._is_open = False
        untold = [
            heading
            for heading in self._path
            if heading.level >= level and heading.start not in self._told
        ]
        self._told.update(heading.start for heading in untold)
        if self._section is None and not self._bare and level == 1 == len(untold):
            self._base.append(untold[0].title)
            return
        self._bare.extend(untold)
        if self._section is not None and self._is_within(self._section, untold[0]):
            # those that wait lie within the outermost of these
            self._section.blocks.extend(self._waiting())

    def _is_within(self, section: Section, heading: Block) -> bool:
        parents = self._headings(self._path.index(heading))
        return section.headings[: len(parents)] == parents
