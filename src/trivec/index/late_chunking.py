"""Late chunking while adding: the documents that passages are encoded in the light of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from trivec.payloads.trivec import content_digest
from trivec.types import Chunk, PointId

__all__ = ["Context", "context_digest", "contexts", "whole_documents"]

SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class Context:
    """Where a passage lies in its document.

    Attributes:
        document: the document's text.
        start: its first character in it.
        end: the character after its last.
        digest: of the document; other neighbours make other vectors.
    """

    document: str
    start: int
    end: int
    digest: str


def whole_documents(chunks: Iterable[Chunk], size: int) -> Iterator[list[Chunk]]:
    """Yield batches of about ``size`` chunks that keep neighbours of one source together."""
    batch: list[Chunk] = []
    for _, document in groupby(chunks, key=_source):
        batch += document
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def contexts(chunks: Mapping[PointId, Chunk]) -> dict[PointId, Context]:
    """Return every chunk's context by its point: the texts of its source, in the order given.

    A chunk without source is a document of its own.
    """
    placed: dict[PointId, Context] = {}
    for _, group in groupby(chunks.items(), key=lambda item: _source(item[1])):
        members = list(group)
        document = SEPARATOR.join(chunk.text for _, chunk in members)
        digest = content_digest(document)
        start = 0
        for key, chunk in members:
            end = start + len(chunk.text)
            placed[key] = Context(document, start, end, digest)
            start = end + len(SEPARATOR)
    return placed


def context_digest(around: Mapping[PointId, Context], key: PointId) -> str | None:
    """Return the digest of the document that a passage is encoded in the light of, if any."""
    context = around.get(key)
    return None if context is None else context.digest


def _source(chunk: Chunk) -> object:
    # an object equals only itself
    return chunk.source if isinstance(chunk.source, str) else object()
