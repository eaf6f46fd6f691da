"""What readers take and give: documents with their blocks, and what was left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from trivec._runtime.checks import shown
from trivec._runtime.typed import check_fields
from trivec.errors import InputError

__all__ = ["Block", "BlockKind", "Document", "LeftOut", "OnLeftOut", "ReadOptions", "log_left_out"]

logger = logging.getLogger(__name__)

BlockKind: TypeAlias = Literal["heading", "text", "table", "code"]
"""What a part of a document is."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document's text; blocks follow one another and do not overlap.

    Attributes:
        start: where it begins, in characters of the document's text.
        end: where it ends.
        kind: what it is. A table has one row a line.
        level: of a heading, 1 to 9; a smaller number holds the larger ones.
        title: of a heading, its words without markup.
        opening: lines that every piece begins with: a table's header, the fence of code.
        closing: a line that every piece ends with: the fence of code.
    """

    start: int
    end: int
    kind: BlockKind = "text"
    level: int = 0
    title: str = ""
    opening: str = ""
    closing: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was read: a whole file, a page or a record.

    Attributes:
        text: not cleaned, maybe blank. Of plain text, Markdown and reStructuredText it is what
            the file holds; of all other formats, what the reader made of it.
        id: the record's own id.
        metadata: JSON values.
        blocks: the parts of the text. Without any, the text is one block.
        markdown: whether the text is Markdown.
        origin: where it lies in the file: ``page``, ``row`` and the like. A passage has it as
            metadata too; the file's own keys win, and trivec's are then called ``origin_page``.
        where: the page or record within the file, for messages; None for a whole file.
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    markdown: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict)
    where: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file, page or record that was not read.

    Attributes:
        path: the file or folder.
        reason: why, and what to do.
        where: the page or record; None where it is the whole file.
        expected: True where nothing that trivec reads was lost: no reader for the suffix, a link,
            a device.
    """

    path: Path
    reason: str
    where: str | None = None
    expected: bool = False

    @property
    def place(self) -> str:
        """The path, and the page or record where there is one."""
        return str(self.path) if self.where is None else f"{self.path}, {self.where}"

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


OnLeftOut: TypeAlias = Callable[[LeftOut], None]
"""Told of everything that is left out, while the rest goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How files are read.

    Attributes:
        encoding: of text files. None: what the file declares, else UTF-8, else what chardet finds.
        text_columns: the columns (csv, xlsx) or keys (json, jsonl) that are searched. None: the
            one called ``text``, ``content`` or ``page_content``, else all of them. Upper and lower
            case are one.

    Raises:
        InputError: the encoding is unknown to Python, or ``text_columns`` is not a tuple of names.
    """

    encoding: str | None = None
    text_columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, ValueError) as err:
                raise InputError(
                    f"encoding={shown(self.encoding)} is unknown to Python; try 'big5'"
                ) from err
        columns = self.text_columns
        named = isinstance(columns, tuple) and all(isinstance(name, str) for name in columns)
        if columns is not None and not (named and columns):
            raise InputError(
                f"text_columns={shown(columns)}; give a tuple of names: ('title', 'body')"
            )


def log_left_out(left_out: LeftOut) -> None:
    """Write what was left out to the log, as a warning."""
    logger.warning("left out: %s", left_out)
