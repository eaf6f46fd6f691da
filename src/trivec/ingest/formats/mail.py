"""Mail: its subject as heading, who wrote to whom and when, and the words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from pathlib import Path
from typing import Any, TypeAlias

from trivec.errors import InputError
from trivec.ingest.documents import Block, Document, LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.formats.encodings import canonical, sure_encoding, whole_file
from trivec.ingest.formats.html import html_document

__all__ = ["mail_documents"]

HEAD = "text/x-headers"
SHOWN = ("From", "To", "Cc", "Date")
Part: TypeAlias = "Message[Any, Any]"


def mail_documents(path: Path, _: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    """Yield a message, with the messages that are attached to it; other attachments are reported.

    Of a text that is there as plain text and as HTML, the plain one is read.

    Raises:
        InputError: it is no message, or the encoding of a text is not sure.
    """
    message = message_from_bytes(whole_file(path))
    if message.get("Subject") is None and not any(name in message for name in SHOWN):
        raise InputError("it cannot be read as eml (no Subject, From or Date); save it anew")
    try:
        parts = [*_parts(message)]
    except RecursionError as err:
        raise InputError("it nests too deeply; save its parts as files") from err
    for part in parts:
        if not _is_read(part):
            name = _plain(part.get_filename() or part.get_content_type(), None)
            reason = "attachments are not read; save it as a file"
            report(LeftOut(path, reason, f"attachment {name!r}", expected=True))
    text, blocks = _joined([_read(part) for part in parts if _is_read(part)])
    subject = _header(message, "Subject") if "Subject" in message else ""
    yield Document(text, metadata={"title": subject} if subject else {}, blocks=tuple(blocks))


def _parts(part: Part) -> Iterator[Part]:
    """Yield messages, their texts and what is attached, in order."""
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        for message in _inner(part):
            yield from _parts(message)
        return
    if any(name in part for name in (*SHOWN, "Subject")):
        yield _head(part)
    inner = _inner(part)
    if part.get_content_type() == "multipart/alternative":
        yield from _parts(_chosen(inner)) if inner else ()
    elif inner:
        for one in inner:
            yield from _parts(one)
    else:
        yield part


def _inner(part: Part) -> list[Part]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if part.is_multipart() else []


def _head(message: Part) -> Part:
    """Return a part that holds the headers of a message alone."""
    head: Part = Message()
    for name in ("Subject", *SHOWN):
        if name in message:
            head[name] = _header(message, name)
    head.set_type(HEAD)
    return head


def _chosen(alternatives: list[Part]) -> Part:
    """Return the plain text of a message, or what comes nearest."""

    def order(part: Part) -> int:
        kind = part.get_content_type()
        if kind == "text/plain":
            return 0 if _decoded(part).strip() else 3
        return 1 if part.is_multipart() or kind == "text/html" else 2

    return min(alternatives, key=order)


def _is_read(part: Part) -> bool:
    return (
        part.get_content_type() in {"text/plain", "text/html", HEAD}
        and part.get_content_disposition() != "attachment"
    )


def _read(part: Part) -> Document:
    kind = part.get_content_type()
    if kind == "text/html":
        return html_document(_decoded(part).encode(), "utf-8")
    if kind == "text/plain":
        text = _decoded(part).replace("\r\n", "\n").strip("\n")
        return Document(text, blocks=(Block(0, len(text)),) if text.strip() else ())
    subject = part.get("Subject", "")
    lines = [f"{name}: {part[name]}" for name in SHOWN if name in part]
    head = "\n".join(lines)
    blocks = [Block(0, len(subject), "heading", level=1, title=subject)] if subject else []
    begin = len(subject) + 2 if subject else 0
    blocks += [Block(begin, begin + len(head))] if head else []
    return Document("\n\n".join(one for one in (subject, head) if one), blocks=tuple(blocks))


def _joined(documents: Iterable[Document]) -> tuple[str, list[Block]]:
    text, blocks = "", list[Block]()
    for document in documents:
        if not document.blocks:
            continue
        text += "\n\n" if text else ""
        for block in document.blocks:
            blocks.append(replace(block, start=block.start + len(text), end=block.end + len(text)))
        text += document.text
    return text, blocks


def _decoded(part: Part) -> str:
    """Return the text of a part: as it declares, or as is sure.

    Raises:
        InputError: nothing is sure.
    """
    payload = part.get_payload(decode=True)
    return _text(payload if isinstance(payload, bytes) else b"", part.get_content_charset())


def _text(content: bytes, declared: str | None) -> str:
    for name in (canonical(declared or ""), "utf-8"):
        try:
            return content.decode(name) if name else content.decode("ascii")
        except UnicodeDecodeError:
            continue
    sure = sure_encoding(content)
    if sure is None:
        raise InputError("its encoding is not sure; save it anew as UTF-8")
    return content.decode(sure, "replace")


def _header(message: Part, name: str) -> str:
    """Return a header; bytes that it does not explain are in the encoding of the message."""
    raw = next(value for key, value in message.raw_items() if key.lower() == name.lower())
    return _plain(raw, message.get_content_charset())


def _plain(header: str, assumed: str | None) -> str:
    """Return a header as one line of text."""
    words = []
    for word, charset in decode_header(header):
        given = word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word
        try:
            words.append(_text(given, charset or (None if given.isascii() else assumed)))
        except InputError:
            words.append(given.decode("utf-8", "replace"))
    return " ".join("".join(words).split())
