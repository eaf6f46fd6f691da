"""Ways to search, each in one line of text, so that reports, commands and files name them alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from trivec._runtime.checks import check_choice, check_least, check_number
from trivec.arms import COLBERT, arm_named
from trivec.errors import InputError
from trivec.fusion import FUSIONS, FusionName
from trivec.mini.reranker import RETRIEVAL_WEIGHT
from trivec.schema import Schema
from trivec.types import ColbertMode, SearchOptions

__all__ = ["CANDIDATES", "Rewriting", "System", "default_systems"]

Rewriting: TypeAlias = Literal["corpus", "chat"]
"""What a question is rewritten by: the corpus's own words, or a chat model."""

CANDIDATES = 50
"""Passages that a reranker reads."""

HYBRID = "hybrid"
"""Stands for the arms that an index searches by where nobody names any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A way to search an index; ``str(system)`` is its one line, :meth:`from_text` reads it.

    Attributes:
        search: arms, fusion, ColBERT, thresholds.
        rewriting: what questions are rewritten by before; None leaves them as they are.
        questions: search the passages' questions too, see :class:`trivec.QuestionIndex`.
        reranker: name of the model that orders the first passages anew; None leaves them.
        candidates: how many it reads.
        retrieval_weight: what the order of the retrieval counts beside it; None is what was
            measured for the model, 0 for one that nothing was measured for.
    """

    search: SearchOptions = field(default_factory=SearchOptions)
    rewriting: Rewriting | None = None
    questions: bool = False
    reranker: str | None = None
    candidates: int = CANDIDATES
    retrieval_weight: float | None = None

    def __post_init__(self) -> None:
        check_choice("rewriting", self.rewriting, Rewriting, or_none=True)
        check_least("candidates", self.candidates, 1)
        check_number("retrieval_weight", self.retrieval_weight, least=0, or_none=True)

    @classmethod
    def from_text(cls, text: str) -> System:
        """Read a system: its arms, then what else it does, by comma.

        The arms are ``hybrid`` or names with ``+`` between them, each with a weight or without:
        ``dense:1+bm25:0.5``. What else: a fusion; ``colbert=rescore`` or ``colbert=fuse``;
        ``rrf_k=61``; ``prefetch=200``; ``dense>0.4``, a threshold; ``rewrite=corpus`` or
        ``rewrite=chat``; ``questions``; ``rerank=MODEL``; ``candidates=30``; ``weight=0.5``.

        Raises:
            InputError: a part that is none of these, or a value that is not allowed.

        Example:
            >>> System.from_text("dense+bm25, rrf, colbert=rescore").search.fusion
            'rrf'
        """
        arms, *parts = [part.strip() for part in text.split(",")]
        search: dict[str, Any] = {"arms": _arms(arms, text)}
        others: dict[str, Any] = {}
        thresholds: dict[str, float] = {}
        for part in parts:
            _read(part, text, search, others, thresholds)
        return cls(search=SearchOptions(**search, thresholds=thresholds), **others)

    @property
    def weight_of_retrieval(self) -> float:
        """What the order of the retrieval counts beside the reranker."""
        if self.retrieval_weight is not None:
            return self.retrieval_weight
        return RETRIEVAL_WEIGHT if self.reranker == "mini" else 0.0

    def __str__(self) -> str:
        search, default = self.search, SearchOptions()
        arms = search.arms
        parts = [_arms_text(arms)]
        if arms is None or len(arms) > 1 or search.fusion != default.fusion:
            parts.append(search.fusion)
        parts += [f"colbert={search.colbert}"] if search.colbert else []
        parts += [f"rrf_k={search.rrf_k}"] if search.rrf_k != default.rrf_k else []
        if search.prefetch_k != default.prefetch_k:
            parts.append(f"prefetch={search.prefetch_k}")
        parts += [f"{arm}>{least:g}" for arm, least in search.thresholds.items()]
        parts += [f"rewrite={self.rewriting}"] if self.rewriting else []
        parts += ["questions"] if self.questions else []
        if self.reranker:
            parts.append(f"rerank={self.reranker}")
            parts += [f"candidates={self.candidates}"] if self.candidates != CANDIDATES else []
            weight = self.retrieval_weight
            parts += [f"weight={weight:g}"] if weight is not None else []
        return ", ".join(parts)


def default_systems(
    schema: Schema, *, reranker: str | None = None, questions: bool = False
) -> list[System]:
    """Return every arm of an index and every hybrid, and what may stand on the default one.

    The hybrids are all fusions of the default arms, and ColBERT over their candidates where it is
    stored. With them come the default hybrid with the corpus's own words, the question index and a
    reranker, where they are there.

    Args:
        schema: of the index.
        reranker: name of a model.
        questions: whether the index has questions.
    """
    stored = list(schema.vectors)
    systems = [System(search=SearchOptions(arms=(arm,))) for arm in stored]
    if len([arm for arm in stored if arm_named(arm).default]) < 2:
        return [*systems, *([replace(systems[0], reranker=reranker)] if reranker else [])]
    hybrid = System()
    default = hybrid.search.fusion
    fusions = [default, *(name for name in FUSIONS if name != default)]
    systems += [System(search=SearchOptions(fusion=name)) for name in fusions]
    if COLBERT.name in stored:
        modes: tuple[ColbertMode, ...] = get_args(ColbertMode)
        systems += [System(search=SearchOptions(colbert=mode)) for mode in modes]
    systems.append(replace(hybrid, rewriting="corpus"))
    systems += [replace(hybrid, questions=True)] if questions else []
    systems += [replace(hybrid, reranker=reranker)] if reranker else []
    return systems


def _arms(text: str, whole: str) -> Mapping[str, float] | tuple[str, ...] | None:
    if text == HYBRID:
        return None
    weights: dict[str, float] = {}
    for part in text.split("+"):
        name, colon, weight = part.partition(":")
        arm_named(name.strip())
        weights[name.strip()] = _number(weight, whole) if colon else 1.0
    return weights if ":" in text else tuple(weights)


def _arms_text(arms: Mapping[str, float] | Any) -> str:
    if arms is None:
        return HYBRID
    if isinstance(arms, Mapping):
        return "+".join(f"{name}:{weight:g}" for name, weight in arms.items())
    return arms if isinstance(arms, str) else "+".join(arms)


_SETTINGS: Mapping[str, tuple[str, type[str | int | float]]] = {
    "colbert": ("colbert", str),
    "rrf_k": ("rrf_k", int),
    "prefetch": ("prefetch_k", int),
    "rewrite": ("rewriting", str),
    "rerank": ("reranker", str),
    "candidates": ("candidates", int),
    "weight": ("retrieval_weight", float),
}
"""What a part before ``=`` sets: a field of the search or of the system, and its type."""

_OF_SEARCH = ("colbert", "rrf_k", "prefetch_k")


def _read(
    part: str,
    whole: str,
    search: dict[str, Any],
    others: dict[str, Any],
    thresholds: dict[str, float],
) -> None:
    """Put one part of a system's text where it belongs."""
    name, equals, value = (piece.strip() for piece in part.partition("="))
    arm, above, least = (piece.strip() for piece in part.partition(">"))
    if equals and name in _SETTINGS:
        setting, kind = _SETTINGS[name]
        given = value if kind is str else kind(_number(value, whole))
        (search if setting in _OF_SEARCH else others)[setting] = given
    elif above:
        thresholds[arm_named(arm).name] = _number(least, whole)
    elif part == "questions":
        others["questions"] = True
    elif part in get_args(FusionName):
        search["fusion"] = part
    else:
        raise InputError(
            f"{part!r} of the system {whole!r}; allowed: {', '.join(get_args(FusionName))}, "
            "colbert=rescore, colbert=fuse, rrf_k=N, prefetch=N, ARM>SCORE, rewrite=corpus, "
            "rewrite=chat, questions, rerank=MODEL, candidates=N, weight=X"
        )


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError as err:
        raise InputError(f"{text!r} of the system {whole!r} is not a number") from err
