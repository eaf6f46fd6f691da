"""One ranking from three: passages found, passages whose questions were found, users' verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from trivec._runtime.checks import check_least, check_number
from trivec._runtime.typed import check_fields, unchecked
from trivec.errors import InputError
from trivec.fusion import distribution_based_fusion
from trivec.questions.records import Kind, QuestionRecord
from trivec.types import Chunk, Hit, MatchedTerm

__all__ = ["QuestionOptions", "Scored", "least_cosine", "merge", "score_part"]

Scored: TypeAlias = tuple[QuestionRecord, float]
Key: TypeAlias = tuple[str | None, str]
"""What tells chunks apart: source and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOptions:
    """What is searched beside the passages, and how it counts (measured in benchmarks/README.md).

    A passage's score is first scaled to its place between the mean of all passages found, less and
    plus three standard deviations, which is 0 to 1. A question that is found then adds its weight
    times its strength: 1 for the very question that was asked, 0 at the threshold.

    Attributes:
        use_passages: search the passages too; False finds by questions alone.
        use_questions: search the generated questions.
        use_feedback: let verdicts on similar questions lift and lower chunks.
        question_threshold: the dense cosine with the question asked above which a stored one
            counts. Models differ: the default is for ``mini``. For another one, look at pairs of
            your own.
        feedback_threshold: the same for the question that a verdict was given for.
        question_weight: what a generated question adds at most.
        lift: what a good verdict adds at most.
        lower: what a bad verdict takes away at most.
        candidates: how many passages, questions and verdicts are looked at; raised to
            ``k + offset`` where smaller.

    Raises:
        InputError: a value that cannot be used.
    """

    use_passages: bool = True
    use_questions: bool = True
    use_feedback: bool = True
    question_threshold: float = 0.70
    feedback_threshold: float = 0.87
    question_weight: float = 0.5
    lift: float = 1.0
    lower: float = 1.0
    candidates: int = 50

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.use_passages or self.use_questions):
            raise InputError("use_passages and use_questions are both False: nothing can be found")
        for name in ("question_threshold", "feedback_threshold"):
            check_number(name, getattr(self, name), least=-1, below=1)
        for name in ("question_weight", "lift", "lower"):
            check_number(name, getattr(self, name), least=0)
        check_least("candidates", self.candidates, 1)


def least_cosine(kind: Kind, options: QuestionOptions) -> float:
    """Return the cosine above which a question of this kind counts."""
    return options.feedback_threshold if kind == "feedback" else options.question_threshold


def score_part(record: QuestionRecord, cosine: float, options: QuestionOptions) -> float:
    """Return what a question of this likeness adds to the score of its chunk."""
    threshold = least_cosine(record.kind, options)
    strength = (cosine - threshold) / (1.0 - threshold)
    weight = {"good": options.lift, "bad": -options.lower, None: options.question_weight}
    return weight[record.verdict] * min(1.0, max(0.0, strength))


def merge(
    passages: Sequence[Hit],
    questions: Sequence[Scored],
    chunks: Iterable[Chunk],
    options: QuestionOptions,
) -> list[Hit]:
    """Fuse what was found into one list of hits.

    Args:
        passages: hits of the ordinary search.
        questions: records of questions and verdicts, each with the dense cosine of its question.
        chunks: every chunk that a record belongs to.
        options: how much each counts.

    Returns:
        Hits, best first. ``matches`` names the questions and verdicts that had a part in a score,
        ``arms`` how large a part.
    """
    hits = {_key(hit.chunk): hit for hit in passages}
    named = {_key(chunk): chunk for chunk in chunks}
    ranking = [(key, hit.score) for key, hit in hits.items()]
    scores = dict(unchecked(distribution_based_fusion)([ranking]))
    merged = []
    terms = _strongest(questions, options)
    for key in dict.fromkeys([*hits, *terms]):
        matched = terms.get(key, [])
        parts: defaultdict[str, float] = defaultdict(float)
        for term in matched:
            parts[term.arm] += term.score
        added = sum(parts.values())
        if key not in hits and added <= 0:
            continue  # a verdict against it is no reason to show a chunk
        hit = hits.get(key) or Hit(named[key], 0.0)
        merged.append(
            replace(
                hit,
                score=scores.get(key, 0.0) + added,
                arms={**hit.arms, **parts},
                matches=(*matched, *hit.matches),
                parts=(),  # they added up to the score before it was scaled
            )
        )
    return sorted(merged, key=lambda hit: hit.score, reverse=True)


def _strongest(
    questions: Sequence[Scored], options: QuestionOptions
) -> dict[Key, list[MatchedTerm]]:
    """Return what adds to the score of each chunk: of each kind and verdict the strongest."""
    strongest: dict[tuple[Key, str, str | None], MatchedTerm] = {}
    for record, cosine in questions:
        term = MatchedTerm(record.kind, record.text, score_part(record, cosine, options))
        key = ((record.source, record.chunk), record.kind, record.verdict)
        if term.score and (key not in strongest or abs(term.score) > abs(strongest[key].score)):
            strongest[key] = term
    matched: defaultdict[Key, list[MatchedTerm]] = defaultdict(list)
    for (chunk, *_), term in strongest.items():
        matched[chunk].append(term)
    return dict(matched)


def _key(chunk: Chunk) -> Key:
    return chunk.source, str(chunk.id)
