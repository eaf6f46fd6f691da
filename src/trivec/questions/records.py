"""How a question lies in its collection: as a chunk whose metadata says which passage it is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from trivec.payloads.trivec import content_digest
from trivec.types import Chunk

__all__ = ["PAYLOAD_INDEXES", "Kind", "QuestionRecord", "Verdict"]

Kind: TypeAlias = Literal["question", "feedback", "none"]
Verdict: TypeAlias = Literal["good", "bad"]
"""What a user said of a passage as an answer."""

PAYLOAD_INDEXES = {"kind": "keyword", "chunk": "keyword"}


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question that belongs to a chunk.

    Attributes:
        text: the question; the chunk's id where the kind is ``none``.
        chunk: the chunk's id.
        source: the chunk's source; None also in records that were made before ids had one.
        digest: sha256 of the chunk's text when the record was made; another text makes it stale.
        kind: ``question`` was generated, ``feedback`` was asked by a user, ``none`` says that the
            model found no question.
        recipe: which prompts and model made it.
        verdict: of feedback: whether the chunk was a good answer.
    """

    text: str
    chunk: str
    digest: str
    kind: Kind = "question"
    recipe: str | None = None
    verdict: Verdict | None = None
    source: str | None = None

    @classmethod
    def of(cls, chunk: Chunk, text: str, **fields: Any) -> QuestionRecord:
        """Return a record that belongs to a chunk as it is now."""
        digest = content_digest(chunk.text)
        return cls(text, str(chunk.id), digest, source=chunk.source, **fields)

    def belongs_to(self, chunk: Chunk) -> bool:
        """Say whether this was made for a chunk, as it is or as it was."""
        if self.chunk != chunk.id:
            return False
        return self.source == chunk.source or (self.source is None and self.is_current(chunk))

    def is_current(self, chunk: Chunk) -> bool:
        """Say whether a chunk has the text that this was made for."""
        return self.digest == content_digest(chunk.text)

    @classmethod
    def from_chunk(cls, stored: Chunk) -> QuestionRecord:
        """Read a record back."""
        noted: Mapping[str, Any] = stored.metadata
        return cls(
            stored.text,
            noted["chunk"],
            noted["digest"],
            noted["kind"],
            noted.get("recipe"),
            noted.get("verdict"),
            stored.source,
        )

    def to_chunk(self) -> Chunk:
        """Return what is stored; the same question of the same chunk has the same id."""
        identity = json.dumps([self.kind, self.chunk, self.text], ensure_ascii=False)
        noted = {
            "kind": self.kind,
            "chunk": self.chunk,
            "digest": self.digest,
            "recipe": self.recipe,
            "verdict": self.verdict,
        }
        return Chunk(
            self.text,
            id=identity,
            source=self.source,
            metadata={key: value for key, value in noted.items() if value is not None},
        )
