"""The evidence that adaptive fusion weighs a list by: coverage of the query, and prominence.

A lexical arm answers every query, if by nothing but chance words. What tells a find from chance is
how much of the query its best passages hold. The coverage of a passage is the weight of the query's
terms that stand in it, divided by the weight of all terms of the query. The coverage of an arm is
that of its best passage.

A term weighs what the query gives it, times its IDF where the arm has one. No engine tells the IDF
of a term, but it can be derived from what a search returns: the score of a passage is a sum over
the shared terms of query weight, IDF and the passage's weight, and only the IDFs are unknown. Some
passages give as many equations, which are solved by ridge regression. So the evidence needs nothing
but the best passages of the search itself: no statistics, no second index, and nothing of passages
that a filter or a tenant shuts out.

The prominence of a list is how far its best score stands out from the others. Where it does, the
arm knows which passage was meant; where all score alike, it guesses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trivec.types import SparseVector

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PASSAGES",
    "UNSEEN_IDF",
    "belief",
    "coverage",
    "evidence_of_words",
    "prominence",
    "unseen_idf",
]

PASSAGES = 3
"""How many of an arm's best passages are looked at."""

UNSEEN_IDF = 8.0
"""At least what a term weighs that none of them holds: Qdrant's IDF among 1,500 passages."""

SILENT_TO, WHOLE_FROM = 0.3, 0.7
"""Up to the first coverage an arm has no say, from the second on it counts whole."""

_EVEN, _SPREADS, _ROUNDING = 0.5, 6.0, 1e-9
_LEAST_IDF = 0.05
_RIDGE = 0.05
_OWN, _MOST_OF_OWN, _WORDS_ALONE = 0.2, 3.0, 1.5


def coverage(
    query: SparseVector,
    passages: Sequence[SparseVector],
    scores: Sequence[float],
    *,
    idf: bool,
    unseen: float = UNSEEN_IDF,
) -> float:
    """Return how much of a query the best of some passages holds, from 0 to 1.

    Args:
        query: the query's term weights, without IDF.
        passages: the term weights of the arm's best passages.
        scores: the arm's score of each.
        idf: whether the scores count every term by its IDF.
        unseen: at least the IDF of a term that none of them holds; see ``unseen_idf``.

    Returns:
        0 where no passage holds a term of the query.
    """
    if not len(query) or not passages:
        return 0.0
    asked = np.maximum(query.values.astype(np.float64), 0.0)
    held = np.stack([_weights_in(passage, query.indices) for passage in passages])
    if idf:
        asked = asked * _inverse_frequencies(asked, held, np.asarray(scores, np.float64), unseen)
    total = float(asked.sum())
    return float(((held > 0) * asked).sum(axis=1).max()) / total if total > 0 else 0.0


def belief(covered: float) -> float:
    """Return which part of its weight an arm keeps: 0 for chance words, 1 for most of a query.

    Args:
        covered: the coverage that the arm is believed by.
    """
    part = (covered - SILENT_TO) / (WHOLE_FROM - SILENT_TO)
    return float(min(max(part, 0.0), 1.0) ** 3)


def evidence_of_words(own: float, learned: float | None) -> float:
    """Return the coverage that an arm of plain words is believed by.

    A model's sparse weights tell better than counts which words of a question matter, and what it
    means that one of them is missing. So where the same text was looked up by them, their coverage
    says most. Words alone miss more: words within words, and pairs across them, are terms too.

    Args:
        own: coverage of the arm of plain words.
        learned: coverage of the learned weights of the same text; None where there are none.

    Returns:
        From 0 to 1, and 0 where no passage has a word of the query.
    """
    if learned is None:
        return min(_WORDS_ALONE * own, 1.0)
    return min((1 - _OWN) * learned + _OWN * own, _MOST_OF_OWN * own)


def prominence(scores: Sequence[float], count: int) -> float:
    """Return how far the best score of a list stands out from the others.

    It is what distribution-based fusion makes of the best score:
    ``(score - mean + 3 sigma) / (6 sigma)``.

    Args:
        scores: of the list.
        count: of how many passages; those that the list lacks score 0.

    Returns:
        At least .5, which is what a list of equal scores has; 2.15 for one match among a hundred.
    """
    count = max(count, len(scores))
    if count < 2:
        return _EVEN
    mean = sum(scores) / count
    squares = sum([(score - mean) ** 2 for score in scores])  # a list takes half of a generator
    squares += (count - len(scores)) * mean**2
    spread = math.sqrt(squares / (count - 1))
    best = max(scores, default=0.0)
    if spread <= _ROUNDING * abs(best):
        return _EVEN
    return _EVEN + (best - mean) / (_SPREADS * spread)


def unseen_idf(passages: int | None) -> float:
    """Return the IDF of a term that no passage holds, by Qdrant's formula.

    Among few passages it is low: there a word of the question that is missing says little.

    Args:
        passages: how many there are; None: unknown, and not few.
    """
    if passages is None:
        return UNSEEN_IDF
    return min(UNSEEN_IDF, math.log((passages + 0.5) / 0.5 + 1))


def _weights_in(passage: SparseVector, indices: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return what a passage gives each of some terms, 0 where it lacks one."""
    if not len(passage):
        return np.zeros(len(indices))
    places = np.minimum(np.searchsorted(passage.indices, indices), len(passage) - 1)
    return np.where(passage.indices[places] == indices, passage.values[places], 0.0)


def _inverse_frequencies(
    asked: NDArray[np.float64],
    held: NDArray[np.float64],
    scores: NDArray[np.float64],
    unseen: float,
) -> NDArray[np.float64]:
    """Derive the IDF of every term from the passages' scores."""
    products = held * asked
    known = products.any(axis=0)
    factors = np.where(known, unseen / 2, 0.0)
    gram = products @ products.T + _RIDGE * np.eye(len(products))
    factors = factors + products.T @ np.linalg.solve(gram, scores - products @ factors)
    factors = np.maximum(factors, _LEAST_IDF)
    return np.where(known, factors, max(unseen, float(factors[known].max(initial=0.0))))
