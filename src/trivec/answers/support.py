"""Whether the passages that an answer cites say what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trivec.answers.evidence import Judge
from trivec.answers.packing import sentences
from trivec.chat.citations import cited_numbers, without_citations

__all__ = ["Claim", "check_claims"]

_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer, and what stands behind it.

    Attributes:
        sentence: as it was written, its citations included.
        citations: the numbers of the passages it cites, from 1.
        unknown: cited numbers that no passage has.
        support: how well the passages that it cites bear on it, by :class:`Judge`: 0 is what any
            passage scores, 1 is every token found; None where it cites none, or nobody measured.
        supported: whether ``support`` reaches the threshold; False where it cites no passage;
            None where it does, but nobody set a threshold.
    """

    sentence: str
    citations: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    support: float | None = None
    supported: bool | None = False


def check_claims(
    answer: str,
    passages: Sequence[str],
    judge: Judge | None,
    *,
    threshold: float | None,
) -> tuple[Claim, ...]:
    """Check every sentence of an answer against the passages that it cites.

    Sentences and cited passages are encoded in one call. What late interaction can tell is whether
    a passage speaks of what the sentence speaks of. Whether it says the same, or another number for
    instance, it cannot tell.

    Args:
        answer: what the model wrote.
        passages: what it was given; number 1 comes first.
        judge: measures support; None checks only that the numbers exist.
        threshold: the least support that counts; None judges none.

    Returns:
        A claim for every sentence that has words, in their order.
    """
    claims = [_claim(span.text, len(passages)) for span in sentences(answer)]
    claims = [claim for claim in claims if _WORD.search(without_citations(claim.sentence))]
    supports = {} if judge is None else _supports(claims, passages, judge)
    return tuple(_judged(claim, supports.get(claim.sentence), threshold) for claim in claims)


def _claim(sentence: str, passages: int) -> Claim:
    cited = cited_numbers(sentence)
    known = tuple(number for number in cited if 1 <= number <= passages)
    unknown = tuple(number for number in cited if number not in known)
    return Claim(sentence, known, unknown)


def _judged(claim: Claim, support: float | None, threshold: float | None) -> Claim:
    if not claim.citations:
        return claim
    supported = None if support is None or threshold is None else support >= threshold
    return replace(claim, support=support, supported=supported)


def _supports(
    claims: Sequence[Claim], passages: Sequence[str], judge: Judge
) -> Mapping[str, float]:
    """Return the support of every sentence that cites a passage."""
    citing = [claim for claim in claims if claim.citations]
    if not citing:
        return {}
    cited = [
        (without_citations(claim.sentence), [passages[number - 1] for number in claim.citations])
        for claim in citing
    ]
    return dict(zip((claim.sentence for claim in citing), judge.support(cited), strict=True))
