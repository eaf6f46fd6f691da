"""The values that pass between the parts of trivec: frozen dataclasses, numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from trivec._runtime.checks import check_choice, check_least, check_number
from trivec.errors import InputError
from trivec.fusion import FusionName

__all__ = [
    "ALL_HEADS",
    "AddReport",
    "ChatReply",
    "Chunk",
    "ColbertMode",
    "EncoderInfo",
    "Encoding",
    "Ending",
    "FloatArray",
    "Head",
    "Hit",
    "MatchedTerm",
    "Point",
    "PointId",
    "QueryText",
    "Refusal",
    "SearchOptions",
    "SearchOverrides",
    "SparseVector",
    "StoredPoint",
    "Vector",
]

FloatArray: TypeAlias = NDArray[np.float32]
"""An array of float32."""

Head: TypeAlias = Literal["dense", "sparse", "colbert"]
"""An output of a model of BGE-M3's shape."""

ColbertMode: TypeAlias = Literal["rescore", "fuse"]
"""What ColBERT vectors do in a search; see :class:`SearchOptions`."""

Ending: TypeAlias = Literal["length", "content_filter", "tool_calls", "error"]
"""What ends a model's reply early: its limit of tokens, a filter, a tool it asks for, a failure."""

PointId: TypeAlias = int | str
"""What Qdrant takes: an unsigned integer, or a UUID in its canonical text form."""

ALL_HEADS: tuple[Head, ...] = ("dense", "sparse", "colbert")
"""Every head, in the order in which encoders list them."""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a language model wrote: a whole answer, or a piece of a streamed one.

    Attributes:
        text: the answer, or what this piece adds to it.
        input_tokens: how many tokens it was asked with; None where the model does not say. Of a
            stream, the last piece alone knows.
        output_tokens: how many tokens it wrote, likewise.
        truncated: True where it stopped at its limit of tokens, in the middle of what it said.
        ended: what else ended it before all was said; None where it ended by itself, or at its
            limit. Of a stream, the last piece alone knows.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    truncated: bool = False
    ended: Ending | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """A sparse vector: token (or term) indices and their weights.

    Attributes:
        indices: ``(n,)`` uint32, strictly ascending.
        values: ``(n,)`` float32.
    """

    indices: NDArray[np.uint32]
    values: FloatArray

    @classmethod
    def from_mapping(cls, weights: Mapping[int, float]) -> SparseVector:
        """Build from ``{index: weight}``."""
        order = sorted(weights)
        return cls(
            np.array(order, dtype=np.uint32),
            np.array([weights[index] for index in order], dtype=np.float32),
        )

    def to_mapping(self) -> dict[int, float]:
        """Return ``{index: weight}`` in Python numbers."""
        return dict(zip(self.indices.tolist(), self.values.tolist(), strict=True))

    def dot(self, other: SparseVector) -> float:
        """Return the dot product with another sparse vector."""
        _, mine, theirs = np.intersect1d(
            self.indices, other.indices, assume_unique=True, return_indices=True
        )
        return float(np.dot(self.values[mine], other.values[theirs]))

    def top(self, count: int) -> SparseVector:
        """Return the ``count`` heaviest entries, still sorted by index."""
        if count >= len(self.indices):
            return self
        keep = np.sort(np.argpartition(-self.values, count)[:count])
        return SparseVector(self.indices[keep], self.values[keep])

    def __len__(self) -> int:
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return np.array_equal(self.indices, other.indices) and np.array_equal(
            self.values, other.values
        )

    __hash__ = None  # type: ignore[assignment]  # mutable arrays inside


Vector: TypeAlias = FloatArray | SparseVector
"""A dense vector ``(dim,)``, a multivector ``(rows, dim)``, or a sparse vector."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of text, the unit that is stored and found.

    Attributes:
        text: the passage.
        id: the caller's own id; without one it follows from ``source`` and ``position``.
        source: what the passage came from, a path or URL.
        position: its ordinal number within the source.
        metadata: any JSON values, given back as they were.
        extra: JSON values that a framework's adapter keeps beside the metadata (a LlamaIndex node
            with its type and relationships); given back as they were, not for filters.
    """

    text: str
    id: str | None = None
    source: str | None = None
    position: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """What one forward pass yields for one text; a head that was not asked for is None.

    Attributes:
        dense: ``(dim,)`` float32.
        sparse: token ids and learned weights; special and instruction tokens left out.
        colbert: ``(tokens, dim)`` float32, without CLS and without instruction tokens.
        tokens: how many tokens the model read, special and instruction tokens included.
        truncated: True when the text was longer than the model's maximal length.
    """

    dense: FloatArray | None = None
    sparse: SparseVector | None = None
    colbert: FloatArray | None = None
    tokens: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What identifies an encoder's output: two encoders with equal info give equal vectors.

    Attributes:
        model: the name or path it was loaded from.
        revision: the hub commit or converter version, if known.
        weights: sha256 over the weight and head files.
        tokenizer: sha256 of the tokenizer file; names the space of the sparse indices.
        dense_dim: width of the dense vector.
        colbert_dim: width of a ColBERT row, None without that head.
        heads: the heads it can compute.
        pooling: ``cls`` or ``mean``.
        normalized: whether dense and ColBERT vectors have unit length.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        max_length: tokens read of a passage; the rest is cut off.
        query_instruction: text put before a query.
        passage_instruction: text put before a passage.
    """

    model: str
    weights: str
    dense_dim: int
    revision: str | None = None
    tokenizer: str | None = None
    colbert_dim: int | None = None
    heads: tuple[Head, ...] = ALL_HEADS
    pooling: str = "cls"
    normalized: bool = True
    precision: str = "fp32"
    max_length: int = 8192
    query_instruction: str = ""
    passage_instruction: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One record to be stored: an id, its named vectors and its payload."""

    id: PointId
    vectors: Mapping[str, Vector]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """One record read back; ``score`` is set by a query, ``vectors`` only when asked for."""

    id: PointId
    payload: Mapping[str, Any]
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class QueryText:
    """One text to search for; a search may have several (the question and its rewritings).

    Attributes:
        text: what is encoded.
        arms: the arms that use it; None means all of the search.
        weight: multiplies the arm's weight.
        vectors: vectors that the caller has already, by arm; what is missing is computed from the
            text. With all of them given the text may be empty.
    """

    text: str
    arms: tuple[str, ...] | None = None
    weight: float = 1.0
    vectors: Mapping[str, Vector] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How a search is carried out. The defaults were chosen by measurement (benchmarks/README.md).

    Attributes:
        arms: which arms take part and with what weight; names alone mean weight 1.
            None: every arm that the collection has.
        fusion: ``rrf`` (reciprocal rank fusion), ``dbsf`` (distribution-based score fusion, takes
            no weights) or ``linear`` (weighted sum of exact scores, the paper's M3 weights).
        rrf_k: the constant of RRF as Qdrant counts it, from rank 0, and its default; the 60 of the
            literature is 61 here.
        prefetch_k: candidates taken from every arm; raised to ``k + offset`` where smaller.
        colbert: ``rescore`` orders the candidates by MaxSim alone, ``fuse`` makes MaxSim one more
            arm over the candidates, None leaves it out.
        offset: results to skip.
        thresholds: the least score of an arm's candidates, by arm. Fused scores have none.
        mmr_lambda: maximal marginal relevance: 1 is relevance alone, 0 diversity alone.
        mmr_candidates: how many results MMR chooses from.
        explain: give every hit the exact score of each arm and its matched terms.
    """

    arms: Mapping[str, float] | Sequence[str] | None = None
    fusion: FusionName = "dbsf"
    rrf_k: int = 2
    prefetch_k: int = 100
    colbert: ColbertMode | None = None
    offset: int = 0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    mmr_lambda: float | None = None
    mmr_candidates: int = 50
    explain: bool = False

    def __post_init__(self) -> None:
        check_choice("fusion", self.fusion, FusionName)
        check_choice("colbert", self.colbert, ColbertMode, or_none=True)
        check_least("rrf_k", self.rrf_k, 1)
        check_least("prefetch_k", self.prefetch_k, 1)
        check_least("offset", self.offset, 0)
        check_number("mmr_lambda", self.mmr_lambda, least=0, most=1, or_none=True)
        check_least("mmr_candidates", self.mmr_candidates, 1)


class SearchOverrides(TypedDict, total=False):
    """Fields of :class:`SearchOptions` by name, as a search takes them for one call."""

    arms: Mapping[str, float] | Sequence[str] | None
    fusion: FusionName
    rrf_k: int
    prefetch_k: int
    colbert: ColbertMode | None
    offset: int
    thresholds: Mapping[str, float]
    mmr_lambda: float | None
    mmr_candidates: int
    explain: bool


@dataclass(frozen=True, slots=True)
class MatchedTerm:
    """A token or word that query and passage share.

    Attributes:
        arm: ``sparse`` or ``bm25``.
        term: its text.
        score: its part of the arm's score.
    """

    arm: str
    term: str
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        chunk: the passage as it was added, its id set.
        score: the score that the order follows: fused, MaxSim or of the single arm.
        arms: with ``explain``, the exact score of every arm; an absent arm did not match.
        matches: with ``explain``, the shared tokens and words, heaviest first.
        query_cut: True where the query was longer than the model reads; its rest counted for
            BM25 alone.
    """

    chunk: Chunk
    score: float
    arms: Mapping[str, float] = field(default_factory=dict)
    matches: tuple[MatchedTerm, ...] = ()
    query_cut: bool = False

    @property
    def id(self) -> str:
        """The caller's id of the passage."""
        return self.chunk.id or ""

    @property
    def text(self) -> str:
        """The passage."""
        return self.chunk.text

    @property
    def source(self) -> str | None:
        """What the passage came from, a path or URL."""
        return self.chunk.source

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The passage's metadata, as they were added."""
        return self.chunk.metadata


@dataclass(frozen=True, slots=True)
class Refusal:
    """A chunk that was not stored, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the chunks of one ``add``.

    Attributes:
        added: new points.
        updated: points whose text or metadata changed.
        skipped: chunks that were there already, unchanged; they were not encoded.
        deleted: points removed because their source no longer holds them.
        truncated: ids of chunks longer than the model reads; they were stored.
        refused: chunks that were not stored, with the reason.
        reused: how many of those added or updated took the vectors of a passage with the same
            text, such as one of a file that was moved; they were not encoded.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    truncated: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    reused: int = 0

    @property
    def given(self) -> int:
        """How many chunks were given: each was added, updated, skipped or refused."""
        return self.added + self.updated + self.skipped + len(self.refused)

    def require_complete(self) -> None:
        """Raise where chunks were refused, for callers that promise to store all or fail.

        Raises:
            InputError: names the chunks and the reasons.
        """
        if self.refused:
            listing = "; ".join(f"{refusal.id}: {refusal.reason}" for refusal in self.refused)
            raise InputError(
                f"{len(self.refused)} passages were refused, the others are stored: {listing}. "
                "Mend or leave out these; adding the rest again does no harm"
            )
