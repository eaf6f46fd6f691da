"""What a search is asked, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsIndex, TypeAlias, TypedDict, overload

from trivec._runtime.checks import check_choice, check_least, check_number
from trivec._runtime.typed import check_fields
from trivec._showing.passages import Row, passages_table
from trivec.errors import InputError
from trivec.fusion import FusionName
from trivec.types.passages import Chunk
from trivec.types.vectors import Vector

__all__ = [
    "ColbertMode",
    "Hit",
    "Hits",
    "MatchedTerm",
    "QueryText",
    "ScorePart",
    "SearchOptions",
    "SearchOverrides",
    "hits_table",
    "row_of",
]

ColbertMode: TypeAlias = Literal["rescore", "fuse"]
"""What ColBERT vectors do in a search; see :class:`SearchOptions`."""

STORED_TEXTS = ("question", "feedback")
"""What matches as a whole text, beside the passage; the terms of arms stand in it."""


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

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How a search is carried out. The defaults were chosen by measurement (benchmarks/README.md).

    Attributes:
        arms: which arms take part and with what weight; names alone mean weight 1.
            None: every arm that the collection has.
        fusion: ``adaptive`` (every arm weighed for each query by what it could match), ``rrf``
            (reciprocal rank fusion), ``dbsf`` (distribution-based score fusion, takes no weights)
            or ``linear`` (weighted sum of exact scores, the paper's M3 weights).
        rrf_k: the constant of RRF as Qdrant counts it, from rank 0, and its default; the 60 of the
            literature is 61 here.
        prefetch_k: candidates taken from every arm; raised to ``k + offset`` where smaller.
        colbert: ``rescore`` orders the candidates by MaxSim alone, ``fuse`` makes MaxSim one more
            arm over the candidates, None leaves it out.
        offset: results to skip.
        thresholds: the least score of an arm's candidates, by arm. Fused scores have none.
        mmr_lambda: maximal marginal relevance: 1 is relevance alone, 0 diversity alone.
        mmr_candidates: how many results MMR chooses from.
        explain: give every hit the exact score of each arm, its matched terms, and the parts of
            its score. The log names the keys that a filter compares
            without an index.
    """

    arms: str | Mapping[str, float] | Sequence[str] | None = None
    fusion: FusionName = "adaptive"
    rrf_k: int = 2
    prefetch_k: int = 100
    colbert: ColbertMode | None = None
    offset: int = 0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    mmr_lambda: float | None = None
    mmr_candidates: int = 50
    explain: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("fusion", self.fusion, FusionName)
        check_choice("colbert", self.colbert, ColbertMode, or_none=True)
        check_least("rrf_k", self.rrf_k, 1)
        check_least("prefetch_k", self.prefetch_k, 1)
        check_least("offset", self.offset, 0)
        check_number("mmr_lambda", self.mmr_lambda, least=0, most=1, or_none=True)
        check_least("mmr_candidates", self.mmr_candidates, 1)


class SearchOverrides(TypedDict, total=False):
    """Fields of :class:`SearchOptions` by name, as a search takes them for one call."""

    arms: str | Mapping[str, float] | Sequence[str] | None
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
class ScorePart:
    """What one arm added to the fused score of a hit, and why no more.

    Attributes:
        arm: its name.
        text: the query text that it looked for.
        weight: what the arm counted for this query; under ``adaptive`` the weights of all parts
            add up to 1.
        score: what it added to the hit's score; under ``adaptive`` from 0 to ``weight``.
        coverage: of a lexical arm under ``adaptive``: how much of the query the best passage
            holds, 0 to 1.
        rank: from 1 in the arm's list; None where the list does not have the hit, or was not
            looked at.
        fusion: how the lists became one; None where there was but one list.
    """

    arm: str
    text: str
    weight: float
    score: float
    coverage: float | None = None
    rank: int | None = None
    fusion: FusionName | None = "adaptive"

    @property
    def why(self) -> str:
        """Why the arm counted as it did, in words."""
        if self.fusion is None:
            return "it alone makes the order"
        if self.fusion == "linear":
            return "its exact score counts, times its weight"
        if self.fusion != "adaptive":
            place = "is not among its candidates" if self.rank is None else f"is number {self.rank}"
            return f"the passage {place}"
        if self.coverage is None:
            return "meaning counts for every query"
        if not self.coverage:
            return "no passage has a word of the query"
        return f"no passage has more than {100 * self.coverage:.0f} % of the query's weight"


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
        parts: with ``explain``, what every arm added; they add up to the score. Empty where equal
            scores leave open which order the engine took.
    """

    chunk: Chunk
    score: float
    arms: Mapping[str, float] = field(default_factory=dict)
    matches: tuple[MatchedTerm, ...] = ()
    query_cut: bool = False
    parts: tuple[ScorePart, ...] = ()

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

    def explain(self) -> str:
        """Return, in lines, what is known of how the passage was found.

        :func:`trivec.evaluation.explain_passage` says more, also of a passage that was not found.

        Raises:
            InputError: the search was carried out without ``explain=True``.
        """
        if not (self.arms or self.matches or self.parts):
            raise InputError("nothing is known of this hit; search with explain=True")
        lines = [f"score {self.score:.4f}"]
        for arm in dict.fromkeys([*self.arms, *(part.arm for part in self.parts)]):
            score, parts = self.arms.get(arm), [one for one in self.parts if one.arm == arm]
            words = ", ".join(
                f"{one.term} {one.score:.3g}" for one in self.matches if one.arm == arm
            )
            line = arm if score is None else f"{arm} {score:.4f}"
            line += "".join(_added(part, of_several=len(parts) > 1) for part in parts)
            lines.append(f"{line}: {words}" if words else line)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return passages_table([row_of(self, "")])


class Hits(list[Hit]):
    """Hits that a notebook shows as a table; in everything else a list.

    A search returns one. Make one of hits from elsewhere, such as those that a reranker ordered:
    ``Hits(hits)``.
    """

    __slots__ = ()

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> Hit: ...
    @overload
    def __getitem__(self, at: slice, /) -> Hits: ...
    def __getitem__(self, at: SupportsIndex | slice, /) -> Hit | Hits:
        """Return a hit, or some of them as a table again."""
        return Hits(super().__getitem__(at)) if isinstance(at, slice) else super().__getitem__(at)

    def _repr_html_(self) -> str:
        return hits_table(self)


def hits_table(hits: Iterable[Hit], title: str = "") -> str:
    """Return hits as a table for a notebook, numbered from 1."""
    return passages_table([row_of(hit, str(at)) for at, hit in enumerate(hits, 1)], title)


def row_of(hit: Hit, number: str, *notes: str) -> Row:
    """Return a hit as a row of a table.

    Args:
        hit: the passage.
        number: what it is called by.
        *notes: lines below its text.
    """
    origin = " · ".join(filter(None, [hit.source or "", hit.id]))
    others = [f"{one.arm}: {one.term}" for one in hit.matches if one.arm in STORED_TEXTS]
    cut = ["the query was longer than the model reads"] if hit.query_cut else []
    return Row(
        number=number,
        text=hit.text,
        origin=origin,
        score=hit.score,
        words=tuple(one.term for one in hit.matches if one.arm not in STORED_TEXTS),
        arms=tuple(hit.arms.items()),
        parts=tuple((part.arm, part.score) for part in hit.parts),
        notes=(*notes, *others, *cut),
    )


def _added(part: ScorePart, *, of_several: bool) -> str:
    """Say what a part adds to a score; with more digits than it, so that the parts add up."""
    most = f" of at most {part.weight:.4f}" if part.fusion == "adaptive" else ""
    rank = "" if part.rank is None else f", number {part.rank} of its list"
    text = f" for {part.text!r}" if of_several else ""
    return f", adds {part.score:.5f}{most}{rank}{text}"
