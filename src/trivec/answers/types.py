"""What a :class:`trivec.RagPipeline` is told, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from trivec._runtime.checks import check_choice, check_least
from trivec._runtime.typed import check_fields
from trivec._showing.passages import Row, passages_table
from trivec._showing.tables import number, table
from trivec._showing.texts import visible
from trivec.answers.options import AnswerOptions
from trivec.answers.outcome import Outcome, Reason
from trivec.answers.support import Claim
from trivec.rerankers import RankingOptions
from trivec.rewriting.rewriters import Rewrite
from trivec.types import Hit, SearchOptions
from trivec.types.searches import hits_table, row_of

__all__ = [
    "Answer",
    "AnswerEnd",
    "AnswerPiece",
    "Evidence",
    "EvidenceScore",
    "Found",
    "Passage",
    "RagOptions",
    "RerankErrorMode",
]

EvidenceScore: TypeAlias = Literal["max_sim", "rerank"]
"""The score that ``min_evidence`` lies on; see :class:`RagOptions`."""
RerankErrorMode: TypeAlias = Literal["raise", "keep"]
"""What becomes of a reranker that fails."""

SUPPORTED = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RagOptions(AnswerOptions):
    """How a question is searched for and answered; the fields of ``AnswerOptions`` besides.

    Attributes:
        search: arms, fusion and the rest of the search.
        rerank_candidates: how many passages the reranker reads; raised to ``max_passages`` where
            smaller.
        ranking: which of them the reranker keeps, and whether its scores become probabilities.
        rerank_error: what becomes of a reranker that fails: ``raise``, or ``keep`` goes on in the
            order of the search and says so in :attr:`Answer.notes`.
        evidence: the score that ``min_evidence`` lies on: ``max_sim``, how well the best passages
            bear on the question by late interaction of the index's own encoder
            (:class:`trivec.answers.Judge`), or ``rerank``, the reranker's best score; no
            threshold was measured for that one.

    Raises:
        InputError: a value that cannot be used.
    """

    search: SearchOptions = field(default_factory=SearchOptions)
    rerank_candidates: int = 50
    ranking: RankingOptions = field(default_factory=RankingOptions)
    rerank_error: RerankErrorMode = "raise"
    evidence: EvidenceScore = "max_sim"

    def __post_init__(self) -> None:
        check_fields(self)
        AnswerOptions.__post_init__(self)  # super() does not work in a class with slots
        check_least("rerank_candidates", self.rerank_candidates, 1)
        check_choice("rerank_error", self.rerank_error, RerankErrorMode)
        check_choice("evidence", self.evidence, EvidenceScore)


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that the model was given.

    Attributes:
        number: what the answer cites it by, from 1.
        hit: the passage as it was found, with its score in the search.
        text: what the model read of it.
        cut: True where that is not all.
        rerank_score: the reranker's score; None without one.
    """

    number: int
    hit: Hit
    text: str
    cut: bool = False
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How well the best passage bears on the question.

    Attributes:
        score: None where it was not measured: nothing was found, or no threshold needs it.
        threshold: the least that is enough; None where anything is.
        lead: how far the best passage lies above the later ones; measured where it decides, which
            is between two languages. None elsewhere.
        least_lead: the least lead that is enough; None where the score decides.
    """

    score: float | None = None
    threshold: float | None = None
    lead: float | None = None
    least_lead: float | None = None

    @property
    def is_weak(self) -> bool:
        """Whether there is a threshold that the lead, or else the score, does not reach."""
        if self.lead is not None and self.least_lead is not None:
            return not self.lead >= self.least_lead
        return (
            self.score is not None
            and self.threshold is not None
            and not self.score >= self.threshold
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a question finds, without asking a chat model for the answer.

    Attributes:
        hits: the passages, best first.
        evidence: how well the best of them bears on the question.
        rewrite: the rewriter's words for the question; None without one.
        notes: what went wrong and was passed over by a named option.
    """

    hits: tuple[Hit, ...]
    evidence: Evidence
    rewrite: Rewrite | None = None
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return hits_table(self.hits, "; ".join(self.notes))


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """What a streamed answer goes on with."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """How an answer ends that was read piece by piece.

    Attributes:
        text: what the user is still to see; the pieces and this are the outcome's answer.
        outcome: the whole answer with its citations, or the refusal.
    """

    text: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a question.

    Attributes:
        question: what was asked.
        text: the answer, or what the user is told instead.
        passages: what the model was given, number 1 first; of a refusal before the model was
            asked, what it would have been given.
        citations: the numbers of the passages that the answer cites, in order of first mention.
        unknown: cited numbers that no passage has.
        claims: the answer's sentences, each with its support by what it cites.
        refused: True when there is no answer.
        reason: why there is none: ``no_hits`` nothing was found, ``weak_evidence`` what was found
            is not relevant enough, ``model_refused`` the model found no answer in it,
            ``unsupported`` no sentence is supported by what it cites. ``unsupported`` stands on an
            answer that is not refused too, unless ``refuse_unsupported`` is set.
        evidence: how well the best passage bears on the question.
        rewrite: the rewriter's words for the question; None without one.
        timings: seconds of each stage that took place: ``rewrite``, ``search``, ``rerank``,
            ``pack``, ``evidence``, ``model``, ``check``.
        context_tokens: tokens of the passages in the prompt, as the budget counts them.
        input_tokens: tokens of the whole prompt by the model's own count; None where it does not
            say, or was not asked.
        output_tokens: tokens that the model wrote, likewise.
        truncated: True where the model stopped at its limit, in the middle of what it said.
        notes: what went wrong and was passed over by a named option.
    """

    question: str
    text: str
    passages: tuple[Passage, ...] = ()
    citations: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    claims: tuple[Claim, ...] = ()
    refused: bool = False
    reason: Reason | None = None
    evidence: Evidence = field(default_factory=Evidence)
    rewrite: Rewrite | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    context_tokens: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    truncated: bool = False
    notes: tuple[str, ...] = ()

    @property
    def cited(self) -> tuple[Passage, ...]:
        """The passages that the answer cites, in order of first mention."""
        return tuple(self.passages[number - 1] for number in self.citations)

    def _repr_html_(self) -> str:
        rows = [("question", visible(self.question)), ("answer", visible(self.text))]
        if self.refused or self.reason:
            said = "refused" if self.refused else "answered"
            rows.append(("outcome", visible(f"{said}: {self.reason}" if self.reason else said)))
        if self.unknown:
            rows.append(("cites what is not there", visible(", ".join(map(str, self.unknown)))))
        if self.truncated:
            rows.append(("cut off", "the model stopped at its limit"))
        if self.rewrite is not None and self.rewrite.keywords:
            rows.append(("searched for, too", visible(", ".join(self.rewrite.keywords))))
        if self.evidence.score is not None:
            least = self.evidence.threshold
            of = "" if least is None else f", at least {number(least)} is needed"
            rows.append(("evidence", f"{number(self.evidence.score)}{of}"))
        if self.evidence.lead is not None:
            least = self.evidence.least_lead
            of = "" if least is None else f", at least {number(least)} is needed"
            rows.append(("lead", f"{number(self.evidence.lead)}{of}"))
        rows += [("note", visible(text)) for text in self.notes]
        said = table((), rows)
        claims = [
            (visible(one.sentence), number(one.support), SUPPORTED[one.supported])
            for one in self.claims
        ]
        if claims:
            said += table(("sentence", "support", "supported"), claims)
        return said + passages_table([self._row(one) for one in self.passages], "Passages")

    def _row(self, passage: Passage) -> Row:
        notes = []
        if passage.number in self.citations:
            notes.append("cited")
        if passage.rerank_score is not None:
            notes.append(f"reranker {passage.rerank_score:.3f}")
        if passage.cut:
            notes.append("the model read a part of it")
        row = row_of(passage.hit, f"[{passage.number}]", *notes)
        return replace(row, text=passage.text)
