"""Which queries are asked together, and against which passages: drawn from the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trivec.training.data import TrainingExample
from trivec.training.texts import Texts

__all__ = ["Batch", "Candidate", "batches_of_epoch", "candidates"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An example by the numbers of its texts.

    Attributes:
        query: its query.
        positives: what answers it.
        negatives: what does not.
        scores: a teacher's, of the positives and then of the negatives; empty without.
    """

    query: int
    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's texts.

    Attributes:
        queries: numbers of texts.
        passages: numbers of texts, all distinct: first the own passage of each query in order,
            then hard negatives.
        known: for each query all its positives; never a negative of it.
        mined: for each query the places in ``passages`` of its own hard negatives.
        scores: for each query the teacher's score by the place in ``passages``; empty without.
    """

    queries: tuple[int, ...]
    passages: tuple[int, ...]
    known: tuple[frozenset[int], ...]
    mined: tuple[frozenset[int], ...]
    scores: tuple[dict[int, float], ...]


def candidates(examples: Sequence[TrainingExample], texts: Texts) -> list[Candidate]:
    """Return the examples by the numbers of their texts."""
    return [
        Candidate(
            texts.query(one.query, one.prompt),
            tuple(texts.passage(text) for text in one.pos),
            tuple(texts.passage(text) for text in one.neg),
            (*one.pos_scores, *one.neg_scores),
        )
        for one in examples
    ]


def batches_of_epoch(
    examples: Sequence[Candidate], *, size: int, negatives: int, seed: int, epoch: int
) -> list[Batch]:
    """Return the batches of one epoch, every example in one of them.

    An example whose query or passage stands in a batch already waits for the next one: the same
    text twice would be a negative of itself. The last batch may be smaller; one of a single
    query without negatives has nothing to learn from and is left out.

    Args:
        examples: all of them.
        size: queries of a batch.
        negatives: hard negatives of each query.
        seed: of the training.
        epoch: from 0; each has an order of its own.
    """
    random = np.random.default_rng([seed, epoch])
    waiting = [_drawn(examples[at], negatives, random) for at in random.permutation(len(examples))]
    found = []
    while waiting:
        taken, waiting = _next(waiting, size)
        batch = _batch(taken)
        if len(batch.passages) > 1:
            found.append(batch)
    return found


@dataclass(frozen=True, slots=True)
class _Drawn:
    example: Candidate
    positive: int
    negatives: tuple[int, ...]


def _drawn(example: Candidate, negatives: int, random: np.random.Generator) -> _Drawn:
    positive = int(random.choice(example.positives))
    count = min(negatives, len(example.negatives))
    chosen = random.choice(len(example.negatives), count, replace=False) if count else ()
    return _Drawn(example, positive, tuple(example.negatives[at] for at in chosen))


def _next(waiting: list[_Drawn], size: int) -> tuple[list[_Drawn], list[_Drawn]]:
    """Take the first examples that go together, and return them and the rest in order."""
    taken: list[_Drawn] = []
    rest: list[_Drawn] = []
    queries: set[int] = set()
    passages: set[int] = set()
    for at, one in enumerate(waiting):
        if len(taken) == size:
            rest += waiting[at:]
            break
        if one.example.query in queries or passages & {one.positive, *one.example.positives}:
            rest.append(one)
            continue
        taken.append(one)
        queries.add(one.example.query)
        passages.add(one.positive)
    return taken, rest


def _batch(taken: Sequence[_Drawn]) -> Batch:
    own = [one.positive for one in taken]
    hard = [negative for one in taken for negative in one.negatives]
    passages = tuple(dict.fromkeys([*own, *hard]))
    place = {passage: at for at, passage in enumerate(passages)}
    return Batch(
        tuple(one.example.query for one in taken),
        passages,
        tuple(frozenset(one.example.positives) for one in taken),
        tuple(frozenset(place[negative] for negative in one.negatives) for one in taken),
        tuple(_scores(one.example, place) for one in taken),
    )


def _scores(example: Candidate, place: dict[int, int]) -> dict[int, float]:
    """Return a teacher's scores of the passages that are in the batch."""
    passages = (*example.positives, *example.negatives)
    return {
        place[passage]: score
        for passage, score in zip(passages, example.scores, strict=bool(example.scores))
        if passage in place
    }
